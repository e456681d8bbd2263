/** Red, green and blue from 0 to 255. */
export type Colour = readonly [number, number, number]

const BLACK: Colour = [0, 0, 0]
const WHITE: Colour = [255, 255, 255]

/** `#abc` or `#aabbcc` as a colour. */
export function parseColour(text: string): Colour {
  const digits = text.slice(1)
  const six = digits.length === 3 ? digits.replace(/./g, '$&$&') : digits
  return [0, 2, 4].map((at) => Number.parseInt(six.slice(at, at + 2), 16)) as unknown as Colour
}

/** A colour as `#aabbcc`. */
export function colourText(colour: Colour): string {
  return `#${colour.map((channel) => Math.round(channel).toString(16).padStart(2, '0')).join('')}`
}

/** As CSS `color-mix(in srgb, one <share>, other)` mixes. */
export function mix(one: Colour, share: number, other: Colour): Colour {
  return one.map((channel, index) => channel * share + other[index]! * (1 - share)) as unknown as Colour
}

/** WCAG 2.2, "relative luminance". */
function luminance(colour: Colour): number {
  const [red, green, blue] = colour.map((channel) => {
    const part = channel / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  }) as unknown as Colour
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/** WCAG 2.2, "contrast ratio": from 1 (none) to 21 (black on white). */
export function contrast(one: Colour, other: Colour): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}

/** The colour itself where it passes, or else with as little black (or white) in it as is needed. */
export function nearestShade(
  colour: Colour,
  towards: 'black' | 'white',
  passes: (shade: Colour) => boolean,
): Colour {
  const end = towards === 'black' ? BLACK : WHITE
  for (let step = 0; step < 100; step++) {
    // Rounded first: what is written down is what has to pass.
    const shade = parseColour(colourText(mix(colour, 1 - step / 100, end)))
    if (passes(shade)) return shade
  }
  return end
}
