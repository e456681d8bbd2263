import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accentProblem, accentsOf, readableShade } from '../../src/branding/accent.ts'
import { colourText, contrast, parseColour } from '../../src/branding/colours.ts'
import { type BrandingFolder, createBrandingFolder } from '../support/branding.ts'

let folder: BrandingFolder

beforeAll(async () => {
  folder = await createBrandingFolder()
})
afterAll(() => folder.close())

const hex = fc.integer({ min: 0, max: 0xffffff }).map((value) => `#${value.toString(16).padStart(6, '0')}`)
const of = (one: string, other: string) => contrast(parseColour(one), parseColour(other))

describe('contrast', () => {
  it('is what WCAG says it is', () => {
    expect(of('#000', '#ffffff')).toBeCloseTo(21, 5)
    expect(of('#777777', '#ffffff')).toBeCloseTo(4.48, 2)
    expect(of('#ffffff', '#0b57d0')).toBeCloseTo(6.38, 1)
    expect(of('#123456', '#123456')).toBe(1)
  })
})

describe('an accent colour', () => {
  it('that cannot be read is refused with its ratio, the nearest shade that can, and where it stands', async () => {
    expect(await folder.problems({ service_name: 'Harbour', accent_colour: '#ffd600' })).toEqual([
      'postern.yaml:3: branding.accent_colour: has a contrast of 1.1 : 1 as a link on #eae6dd in the light scheme, where 4.5 : 1 is needed to read it; write "#786500" instead, the nearest shade that has it, and "#ffd600" as accent_colour_dark',
    ])
    expect(await folder.problems({ accent_colour_dark: '#0b57d0' })).toEqual([
      expect.stringMatching(
        /^postern\.yaml:2: branding\.accent_colour_dark: has a contrast of 2\.\d : 1 .+ in the dark scheme.+ write "#[0-9a-f]{6}" instead/,
      ),
    ])
  })

  it('that is none is refused with an example', async () => {
    expect(await folder.problems({ accent_colour: 'blue' })).toEqual([
      'postern.yaml:2: branding.accent_colour: is not a colour; write three or six hexadecimal digits in quotes, such as "#0b57d0" instead',
    ])
  })

  it('can always be mended with the shade that the message names', () => {
    fc.assert(
      fc.property(hex, fc.constantFrom('light' as const, 'dark' as const), (colour, scheme) => {
        expect(accentProblem(readableShade(colour, scheme), scheme)).toBeUndefined()
      }),
      { numRuns: 60 },
    )
  })

  it('stays as it is where it can be read', () => {
    expect(readableShade('#0b57d0', 'light')).toBe('#0b57d0')
    expect(accentProblem('#0b57d0', 'light')).toBeUndefined()
    expect(accentProblem('#ffd600', 'dark')).toBeUndefined()
  })

  it('brings its shade for the dark scheme along, and what can be read on a button', () => {
    const { light, dark } = accentsOf('#0b57d0', undefined)
    expect(light).toEqual({ accent: '#0b57d0', onAccent: '#ffffff' })
    expect(accentProblem(dark!.accent, 'dark')).toBeUndefined()
    expect(of(dark!.accent, dark!.onAccent)).toBeGreaterThanOrEqual(4.5)
    expect(accentsOf('#786500', '#ffd600').dark).toEqual({ accent: '#ffd600', onAccent: '#11150f' })
    expect(accentsOf(undefined, undefined)).toEqual({})
  })

  it('of ours passes its own check', () => {
    const styles = readFileSync(new URL('../../templates/assets/tokens.css', import.meta.url), 'utf8')
    const [light, dark] = [...styles.matchAll(/--accent: (#[0-9a-f]{6});/g)].map((match) => match[1]!)
    expect(accentProblem(light!, 'light')).toBeUndefined()
    expect(accentProblem(dark!, 'dark')).toBeUndefined()
  })
})

it('a colour is written as it is read', () => {
  fc.assert(fc.property(hex, (colour) => colourText(parseColour(colour)) === colour))
  expect(colourText(parseColour('#ABC'))).toBe('#aabbcc')
})
