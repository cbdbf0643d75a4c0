import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { openStorage } from './chat/storage';
import { Store } from './chat/store';
import './style/base.css';
import './style/chat.css';
import './style/markdown.css';
import { App } from './ui/App';
import { idIn } from './ui/useAddress';

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');

const store = await Store.open(await openStorage());
store.show(idIn(location.hash));
void store.resume();
createRoot(root).render(
  <StrictMode>
    <App store={store} />
  </StrictMode>,
);
