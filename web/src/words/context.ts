import { createContext, useContext } from 'react';
import { en, type Words } from './en';
import { fr } from './fr';

export type Language = 'en' | 'fr';

export const languages: Record<Language, Words> = { en, fr };

export const WordsContext = createContext<Words>(en);

export const useWords = (): Words => useContext(WordsContext);

export function browserLanguage(): Language {
  return navigator.language.toLowerCase().startsWith('fr') ? 'fr' : 'en';
}

/** 62300000 -> "62M"; in French "62 M". */
export function short(count: number, words: Words): string {
  return new Intl.NumberFormat(words.locale, { notation: 'compact', maximumSignificantDigits: 3 }).format(count);
}
