import type { Accent, Branding } from './branding.ts'

/** The style sheet's end: the operator's accent over ours, in each scheme that has one. */
export function accentStyles({ light, dark }: Branding['accents']): string {
  const root = ({ accent, onAccent }: Accent) => `:root { --accent: ${accent}; --on-accent: ${onAccent}; }`
  const inLight = light ? `\n@media (prefers-color-scheme: light) { ${root(light)} }\n` : ''
  const inDark = dark ? `\n@media (prefers-color-scheme: dark) { ${root(dark)} }\n` : ''
  return inLight + inDark
}
