/** What the windows of one browser tell each other. */

interface Told {
  /** This conversation was written or deleted. */
  changed?: string;
  cleared?: boolean;
  /** Is any of these answers being written by a window? */
  whose?: string[];
  mine?: string[];
}

export interface Windows {
  tellChanged(id: string): void;
  tellCleared(): void;
  /** Which of these answers another window is writing. A window that does not reply at once is gone. */
  writing(turns: string[]): Promise<Set<string>>;
}

const REPLY = 400; // milliseconds

export function openWindows(onChanged: (id: string) => void, onCleared: () => void, mine: () => string[]): Windows {
  let channel: BroadcastChannel;
  try {
    channel = new BroadcastChannel('creuset');
  } catch {
    return { tellChanged: () => undefined, tellCleared: () => undefined, writing: async () => new Set() };
  }
  const claimed = new Set<string>();
  const tell = (told: Told): void => channel.postMessage(told);
  channel.onmessage = ({ data }: MessageEvent<Told>) => {
    if (data.changed) onChanged(data.changed);
    if (data.cleared) onCleared();
    data.mine?.forEach((id) => claimed.add(id));
    const ours = data.whose?.filter((id) => mine().includes(id)) ?? [];
    if (ours.length > 0) tell({ mine: ours });
  };
  return {
    tellChanged: (changed) => tell({ changed }),
    tellCleared: () => tell({ cleared: true }),
    writing: async (turns) => {
      tell({ whose: turns });
      await new Promise((resolve) => setTimeout(resolve, REPLY));
      return new Set(turns.filter((id) => claimed.has(id)));
    },
  };
}
