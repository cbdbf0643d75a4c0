import { useCallback, useEffect, useState } from 'react';
import { fetchHealth, fetchModel, type Health, type ModelInfo } from '../api/client';

const CALM = 15_000;
const WATCHFUL = 1_500; // milliseconds between looks at a server that is not ready

/** The server's health, watched, and the model it serves (null until known). */
export function useServer(): { health: Health; model: ModelInfo | null; look: () => void } {
  const [health, setHealth] = useState<Health>('ready'); // no banner before the first answer
  const [model, setModel] = useState<ModelInfo | null>(null);
  const [round, setRound] = useState(0);
  const look = useCallback(() => setRound((count) => count + 1), []);

  useEffect(() => {
    const controller = new AbortController();
    let timer = 0;
    const watch = async (): Promise<void> => {
      const found = await fetchHealth(controller.signal);
      if (controller.signal.aborted) return;
      setHealth(found);
      timer = window.setTimeout(watch, found === 'ready' || document.hidden ? CALM : WATCHFUL);
    };
    void watch();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [round]);

  useEffect(() => {
    if (health === 'ready') fetchModel().then(setModel, () => undefined);
  }, [health, round]);

  return { health, model, look };
}
