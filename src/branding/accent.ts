import { readFileSync } from 'node:fs'
import type { Accent } from '../views/branding.ts'
import { templatesFolder } from '../views/templates-folder.ts'
import { type Colour, colourText, contrast, mix, nearestShade, parseColour } from './colours.ts'

export type Scheme = 'light' | 'dark'

/** WCAG 2.2 §1.4.3 (level AA) for text of ordinary size. */
const ENOUGH = 4.5

/** What may be written on the accent: it is whichever of the two reads better. */
const WRITINGS: readonly Colour[] = [parseColour('#ffffff'), parseColour('#11150f')]

/** The colours that an accent meets, as templates/assets/tokens.css has them. */
const BACKGROUNDS = ['page', 'arch', 'surface', 'sunken'] as const

function readPalette(scheme: Scheme): (name: string) => Colour {
  const styles = readFileSync(new URL('assets/tokens.css', templatesFolder), 'utf8')
  const [light = '', dark = ''] = styles.split('@media (prefers-color-scheme: dark)')
  return (name) => {
    const found = new RegExp(`--${name}: (#[0-9a-fA-F]{6});`).exec(scheme === 'light' ? light : dark)
    if (!found) throw new Error(`tokens.css has no colour --${name} for the ${scheme} scheme`)
    return parseColour(found[1]!)
  }
}

interface Meeting {
  ratio: number
  what: string
}

/** Everything that is read in the accent or on it, the worst first. */
function meetings(accent: Colour, scheme: Scheme): { worst: Meeting; writing: Colour } {
  const palette = readPalette(scheme)
  const surface = palette('surface')
  // As tokens.css mixes --accent-back and --accent-strong.
  const backgrounds = [...BACKGROUNDS.map(palette), mix(accent, 0.1, surface)]
  const buttons = [accent, mix(accent, 0.86, palette('ink'))]
  const onButton = (writing: Colour) => Math.min(...buttons.map((button) => contrast(writing, button)))
  const writing = WRITINGS.toSorted((a, b) => onButton(b) - onButton(a))[0]!
  const all: Meeting[] = [
    ...backgrounds.map((background) => ({
      ratio: contrast(accent, background),
      what: `as a link on ${colourText(background)}`,
    })),
    { ratio: onButton(writing), what: `as a button with ${colourText(writing)} on it` },
  ]
  return { worst: all.toSorted((a, b) => a.ratio - b.ratio)[0]!, writing }
}

const passes = (scheme: Scheme) => (accent: Colour) => meetings(accent, scheme).worst.ratio >= ENOUGH

/** The nearest shade of a colour that can be read in a scheme; the colour itself where it can. */
export function readableShade(colour: string, scheme: Scheme): string {
  const towards = scheme === 'light' ? 'black' : 'white'
  return colourText(nearestShade(parseColour(colour), towards, passes(scheme)))
}

/** What is wrong with a colour as the accent of a scheme, and what to write instead; undefined where nothing is. */
export function accentProblem(colour: string, scheme: Scheme): string | undefined {
  const { ratio, what } = meetings(parseColour(colour), scheme).worst
  if (ratio >= ENOUGH) return undefined
  // Rounded down, so that 4.49 is not called 4.5.
  const shown = (Math.floor(ratio * 10) / 10).toFixed(1)
  const other = scheme === 'light' && passes('dark')(parseColour(colour))
  return (
    `has a contrast of ${shown} : 1 ${what} in the ${scheme} scheme, where 4.5 : 1 is needed to read it; ` +
    `write "${readableShade(colour, scheme)}" instead, the nearest shade that has it` +
    (other ? `, and "${colour}" as accent_colour_dark` : '')
  )
}

/** The accents of both schemes. Where only the light one is given, the dark one is its nearest shade. */
export function accentsOf(
  light: string | undefined,
  dark: string | undefined,
): { light?: Accent; dark?: Accent } {
  const accent = (colour: string, scheme: Scheme): Accent => ({
    accent: colour,
    onAccent: colourText(meetings(parseColour(colour), scheme).writing),
  })
  const inDark = dark ?? (light && readableShade(light, 'dark'))
  return {
    ...(light && { light: accent(light, 'light') }),
    ...(inDark && { dark: accent(inDark, 'dark') }),
  }
}
