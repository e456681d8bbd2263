import de from './messages/de.json' with { type: 'json' }
import en from './messages/en.json' with { type: 'json' }

/** A language by its tag of two or three letters. Ours are `en` and `de`; the operator may bring more. */
export type Locale = string

/** A key of the catalogue. Texts that count have the two keys `<key>_one` and `<key>_other`, asked for as `<key>`. */
export type MessageKey = WithoutPlural<keyof typeof en>

type WithoutPlural<K extends string> = K extends `${infer Base}_one`
  ? Base
  : K extends `${string}_other`
    ? never
    : K

export type MessageParams = Readonly<Record<string, string | number>>

/** A text of the catalogue, by its key alone or with what it names. */
export type Message = MessageKey | { readonly key: MessageKey; readonly params?: MessageParams }

/** The texts of one language by key. */
export type Texts = Readonly<Record<string, string>>

/** The texts of every language. */
export type Catalogue = Readonly<Record<Locale, Texts>>

/** Our own texts. */
export const catalogue = { en, de } as const satisfies Catalogue

export type Translate = (message: string | Message, params?: MessageParams) => string

/**
 * The texts of one language. `{name}` in a text is replaced from the parameters; a `count` chooses between
 * `_one` and `_other`. Throws on a key or a parameter that is missing, so that no page shows half a text.
 */
export function createTranslate(locale: Locale, texts: Texts): Translate {
  const plural = new Intl.PluralRules(locale)
  const number = new Intl.NumberFormat(locale)

  return function translate(message, params) {
    if (typeof message === 'object') return translate(message.key, message.params ?? params)
    const counted = typeof params?.count === 'number' ? `${message}_${plural.select(params.count)}` : message
    const text = Object.hasOwn(texts, counted) ? texts[counted] : undefined
    if (text === undefined) throw new Error(`No text for "${counted}" in ${locale}`)
    return text.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = params && Object.hasOwn(params, name) ? params[name] : undefined
      if (value === undefined) throw new Error(`The text "${counted}" needs the parameter "${name}"`)
      return typeof value === 'number' ? number.format(value) : value
    })
  }
}
