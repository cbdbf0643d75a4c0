import { useEffect, useRef, type ReactNode } from 'react';
import { useWords } from '../words/context';
import { copyText } from './CopyButton';
import { Close } from './icons';

/** A modal dialog of the browser: it keeps the focus, closes with Esc or a press beside it, and gives the focus back. */
export function Dialog({ title, wide = false, onClose, children }: { title: string; wide?: boolean; onClose: () => void; children: ReactNode }) {
  const words = useWords();
  const place = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = place.current;
    if (!dialog || dialog.open) return;
    dialog.showModal();
    dialog.querySelector<HTMLElement>('[data-first]')?.focus(); // else the browser takes the first button
  }, []);
  return (
    <dialog
      ref={place}
      className={wide ? 'dialog dialog-wide' : 'dialog'}
      aria-label={title}
      onClose={onClose}
      onMouseDown={(event) => event.target === place.current && place.current?.close()}
    >
      <div className="dialog-box">
        <header>
          <h2>{title}</h2>
          <button type="button" className="tool" aria-label={words.close} onClick={() => place.current?.close()}>
            <Close />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

/** A question with two answers. */
export function Confirm({ title, action, onYes, onClose, children }: { title: string; action: string; onYes: () => void; onClose: () => void; children: ReactNode }) {
  const words = useWords();
  const yes = (): void => {
    onYes();
    onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{children}</p>
      <footer>
        <button type="button" className="button" onClick={onClose}>
          {words.cancel}
        </button>
        <button type="button" className="button button-danger" onClick={yes}>
          {action}
        </button>
      </footer>
    </Dialog>
  );
}

export function LinkDialog({ url, onClose }: { url: URL; onClose: () => void }) {
  const words = useWords();
  return (
    <Dialog title={words.linkTitle} onClose={onClose}>
      <p className="address">{url.href}</p>
      <p className="quiet">{words.linkWarning}</p>
      <footer>
        <button type="button" className="button" onClick={() => void copyText(url.href).then(onClose)}>
          {words.copyAddress}
        </button>
        <button type="button" className="button button-main" onClick={() => (leave(url), onClose())}>
          {words.open}
        </button>
      </footer>
    </Dialog>
  );
}

/** A link that exists only while it is followed, so that the browser has nothing to look up before. */
function leave(url: URL): void {
  const link = document.createElement('a');
  link.href = url.href;
  link.target = '_blank';
  link.rel = 'noopener noreferrer nofollow';
  link.referrerPolicy = 'no-referrer';
  link.click();
}
