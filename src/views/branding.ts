import { type Catalogue, catalogue } from './messages.ts'

/** A picture that was checked: what browsers are told it is, is what it is. */
export interface Picture {
  body: Buffer
  type: 'image/svg+xml' | 'image/png' | 'image/jpeg' | 'image/webp'
  /** Of its file name, without the dot. */
  extension: string
  /** As the file says; only their proportion counts. */
  width: number
  height: number
}

/** A template of the operator's, over ours of the same name or beside them. */
export interface TemplateFile {
  path: string
  source: string
}

/** The accent of one colour scheme, and what is written on it. */
export interface Accent {
  accent: string
  onAccent: string
}

/** Everything on the pages that is the operator's, read and checked. */
export interface Branding {
  serviceName: string
  /** Ours where the operator has none. */
  logo: Picture | undefined
  logoDark: Picture | undefined
  /** By colour scheme; a scheme that is left out keeps our accent. */
  accents: { light?: Accent | undefined; dark?: Accent | undefined }
  termsUrl: string | undefined
  privacyUrl: string | undefined
  /** By name, such as `pages/sign-in.njk`. */
  templates: ReadonlyMap<string, TemplateFile>
  /** The texts of every language, ours and the operator's. */
  catalogue: Catalogue
}

/** The pages as they come, with nothing of the operator's but the name. */
export function plainBranding(serviceName: string): Branding {
  return {
    serviceName,
    logo: undefined,
    logoDark: undefined,
    accents: {},
    termsUrl: undefined,
    privacyUrl: undefined,
    templates: new Map(),
    catalogue,
  }
}
