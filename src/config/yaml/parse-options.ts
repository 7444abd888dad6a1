/** How texts are read, everywhere alike. Whether keys are unique is looked at once, in `yaml-document.ts`: the library compares each with each. */
export const parseOptions = { stringKeys: true, merge: true, uniqueKeys: false } as const;
