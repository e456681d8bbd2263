import { z } from 'zod'
import { accentProblem, type Scheme } from '../../branding/accent.ts'
import { pageUrl, path, text } from '../kinds.ts'

/** A colour that can be read in a scheme. */
const accent = (scheme: Scheme) =>
  z
    .string()
    .superRefine((value, ctx) => {
      const isColour = /^#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/.test(value)
      const problem = isColour ? accentProblem(value, scheme) : 'is not a colour'
      if (problem) ctx.addIssue({ code: 'custom', message: problem })
    })
    .meta({ type: 'colour', write: 'three or six hexadecimal digits in quotes, such as "#0b57d0"' })

/** What people see. */
export const brandingSection = z
  .strictObject({
    service_name: text.max(100, 'is longer than 100 characters').optional().meta({
      description: 'The name that the pages show.',
      defaultText: 'the server name',
    }),
    logo: path.optional().meta({
      type: 'path',
      write: 'the path of an SVG, PNG, JPEG or WebP file',
      description: 'The logo above the name: an SVG, PNG, JPEG or WebP file of 512 KiB at the most.',
      defaultText: "Postern's",
    }),
    logo_dark: path.optional().meta({
      type: 'path',
      write: 'the path of an SVG, PNG, JPEG or WebP file',
      description: 'The logo for the dark colour scheme.',
      defaultText: 'the same as `branding.logo`',
    }),
    accent_colour: accent('light').optional().meta({
      description: 'The colour of buttons and links in the light colour scheme, readable by WCAG AA.',
      defaultText: "Postern's",
    }),
    accent_colour_dark: accent('dark').optional().meta({
      description: 'The same for the dark colour scheme.',
      defaultText: 'the nearest readable shade of `branding.accent_colour`',
    }),
    terms_url: pageUrl.optional().describe('The terms of use, linked at the foot of every page.'),
    privacy_url: pageUrl.optional().describe('The privacy policy, linked at the foot of every page.'),
    templates_folder: path.optional().describe('A folder with templates of your own over ours.'),
    texts_folder: path
      .optional()
      .describe('A folder with texts of your own (`en.json`, `de.json`, …) over ours.'),
  })
  .refine(({ logo, logo_dark }) => logo_dark === undefined || logo !== undefined, {
    path: ['logo_dark'],
    message: 'is given without logo; write both, or logo alone',
  })
  .prefault({})
  .describe('What people see: see `docs/branding.md`.')

type Written = z.output<typeof brandingSection>

/** The path of a file or folder, and where it was written: messages about what is in it begin with that. */
export interface PlacedPath {
  path: string
  /** Such as `postern.yaml:12: branding.logo`. */
  where: string
}

const PLACED = ['logo', 'logo_dark', 'templates_folder', 'texts_folder'] as const
type Placed = (typeof PLACED)[number]

export type BrandingConfig = Omit<Written, Placed> & { [Key in Placed]?: PlacedPath | undefined }

/** The section with its paths made absolute by `place`. */
export function placeBranding(
  written: Written,
  place: (key: Placed, path: string) => PlacedPath,
): BrandingConfig {
  const placed = PLACED.map((key) => {
    const path = written[key]
    return [key, path === undefined ? undefined : place(key, path)] as const
  })
  return { ...written, ...(Object.fromEntries(placed) as Record<Placed, PlacedPath | undefined>) }
}
