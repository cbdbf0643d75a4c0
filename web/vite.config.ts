import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const here = import.meta.dirname;
const built = join(here, '..', 'creuset', 'server', 'static');

/** What the build is made of. tests/web hashes the same list without node, to know that the committed build is current. */
const sources = ['index.html', 'package.json', 'package-lock.json', 'tsconfig.json', 'vite.config.ts', 'public', 'src'];

function files(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => files(join(path, name)));
}

/** One hash over the names and contents of `paths`, whatever the order in which the disk lists them. */
function fingerprint(root: string, paths: string[]): string {
  const hash = createHash('sha256');
  const named = paths.map((path) => [relative(root, path).split(sep).join('/'), path] as const);
  named.sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, path] of named) {
    hash.update(`${name}\0${createHash('sha256').update(readFileSync(path)).digest('hex')}\n`);
  }
  return hash.digest('hex');
}

function record(): Plugin {
  return {
    name: 'record',
    closeBundle() {
      const listed = sources.flatMap((name) => files(join(here, name)));
      const made = files(built).filter((path) => !path.endsWith('build.json'));
      const content = { sources: fingerprint(here, listed), build: fingerprint(built, made) };
      writeFileSync(join(built, 'build.json'), JSON.stringify(content, null, 2) + '\n');
    },
  };
}

const rare = /@font-face\{[^}]*KaTeX_(?:Fraktur-Bold|Caligraphic-Bold|SansSerif-Bold|SansSerif-Italic|Main-BoldItalic)[^}]*\}/g;

/** KaTeX's stylesheet names three formats of each font; every browser that runs this page reads woff2.
 *  Five faces that chats hardly ever need are left out: the browser thickens or slants the plain one. */
function lightFonts(): Plugin {
  return {
    name: 'light-fonts',
    enforce: 'pre',
    transform(code, id) {
      if (!id.includes('katex') || !id.includes('.css')) return null;
      return code.replace(rare, '').replace(/,url\([^)]*\.(?:woff|ttf)\) format\("[a-z]+"\)/g, '');
    },
  };
}

export default defineConfig({
  // The browser's version of this package reads entities through innerHTML, which our Trusted Types policy forbids.
  resolve: { alias: { 'decode-named-character-reference': join(here, 'node_modules/decode-named-character-reference/index.js') } },
  plugins: [lightFonts(), react(), record()],
  build: {
    outDir: built,
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2023',
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { '/v1': 'http://127.0.0.1:8000', '/health': 'http://127.0.0.1:8000' } },
});
