import type { KeyboardEvent as ReactKeyboardEvent } from 'react';

/** Is the key part of composing a character (Japanese, Chinese, dead keys)? Then it neither sends nor stops anything.
 *  Safari ends the composition before it tells of the Enter that ended it, and marks that key with the number 229 only. */
export function composes(event: KeyboardEvent | ReactKeyboardEvent): boolean {
  const key = 'nativeEvent' in event ? event.nativeEvent : event;
  return key.isComposing || key.keyCode === 229;
}
