/** Server-sent events: bytes in, the `data` of each event out. Comments (heartbeats) and other fields are dropped,
 *  but `onBytes` hears of all that comes. */

export async function* events(body: ReadableStream<Uint8Array>, onBytes: () => void): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let waiting = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      onBytes();
      waiting += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A carriage return at the very end may be half of \r\n: leave it for the next round.
      const whole = waiting.endsWith('\r') && !done ? waiting.slice(0, -1) : waiting;
      const blocks = whole.replace(/\r\n?/g, '\n').split('\n\n');
      waiting = (blocks.pop() ?? '') + waiting.slice(whole.length);
      for (const block of blocks) {
        const data = dataOf(block);
        if (data !== null) yield data;
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => undefined); // the connection may already be gone
  }
}

function dataOf(block: string): string | null {
  const lines = block.split('\n').filter((line) => line.startsWith('data:'));
  if (lines.length === 0) return null;
  return lines.map((line) => line.slice(line.startsWith('data: ') ? 6 : 5)).join('\n');
}
