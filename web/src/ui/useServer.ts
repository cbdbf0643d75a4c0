import { useCallback, useEffect, useState } from 'react';
import { fetchHealth, fetchModel, fetchModels, type Health, type ListedModel, type ModelInfo } from '../api/client';

const CALM = 15_000;
const WATCHFUL = 1_500; // milliseconds between looks at a server that is not ready

export interface Server {
  health: Health;
  models: ListedModel[];
  /** The one that is asked: `wanted` where it is served, else the first; null until known. */
  model: ModelInfo | null;
  look: () => void;
}

/** The server's models, and the health of the one that is asked, watched closely while an answer is waited for. */
export function useServer(wanted: string, waiting: boolean): Server {
  const [health, setHealth] = useState<Health>('ready'); // no banner before the first answer
  const [models, setModels] = useState<ListedModel[]>([]);
  const [model, setModel] = useState<ModelInfo | null>(null);
  const [round, setRound] = useState(0);
  const look = useCallback(() => setRound((count) => count + 1), []);
  const id = (models.find((one) => one.id === wanted) ?? models[0])?.id ?? '';
  const well = health !== 'starting' && health !== 'away';

  useEffect(() => {
    const controller = new AbortController();
    let timer = 0;
    const watch = async (): Promise<void> => {
      const found = await fetchHealth(id, controller.signal);
      if (controller.signal.aborted) return;
      setHealth(found);
      const calm = found === 'ready' || (found === 'unloaded' && !waiting) || document.hidden;
      timer = window.setTimeout(watch, calm ? CALM : WATCHFUL);
    };
    void watch();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [id, waiting, round]);

  useEffect(() => {
    if (well) fetchModels().then(setModels, () => undefined);
  }, [well, round]);

  useEffect(() => {
    let left = false;
    if (well && id) fetchModel(id).then((found) => left || setModel(found), () => undefined);
    return () => {
      left = true;
    };
  }, [well, id, round]);

  return { health, models, model: model === null || model.name === id ? model : { name: id }, look };
}
