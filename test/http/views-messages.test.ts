import { globSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { catalogue, createTranslate, type Message } from '../../src/views/messages.ts'

const root = new URL('../../', import.meta.url).pathname
const sources = globSync(['templates/**/*.njk', 'src/**/*.ts'], { cwd: root })
const text = sources.map((file) => readFileSync(root + file, 'utf8')).join('\n')

/** What stands in quotes in the sources, and what keys are built from: `'scope.' ~ name`, `notice.${name}`. */
const literals = new Set([...text.matchAll(/'([a-z_]+\.[a-z_.]+)'/g)].map((match) => match[1]!))
const prefixes = [...text.matchAll(/'([a-z_]+\.[a-z_.]*)' ~|`([a-z_]+\.[a-z_.]*)\$\{/g)].map(
  (match) => (match[1] ?? match[2])!,
)
const asked = [...text.matchAll(/\bt\(\s*'([a-z_.]+)'(?! ~)/g)].map((match) => match[1]!)
const base = (key: string) => key.replace(/_(?:one|other)$/, '')
const keys = Object.keys(catalogue.en)

describe('the catalogue', () => {
  it('has the same texts in every language', () => {
    expect(Object.keys(catalogue.de).sort()).toEqual(keys.toSorted())
  })

  it('names the same parameters in every language', () => {
    const parameters = (value: string) => [...new Set(value.match(/\{\w+\}/g) ?? [])].toSorted()
    for (const key of keys.filter((name) => !name.endsWith('_one'))) {
      expect(parameters(catalogue.de[key as keyof typeof catalogue.de]), key).toEqual(
        parameters(catalogue.en[key as keyof typeof catalogue.en]),
      )
    }
  })

  it('has every text that a template asks for', () => {
    const known = new Set([...keys, ...keys.map(base)])
    expect(asked.filter((key) => !known.has(key))).toEqual([])
  })

  it('has no text that nobody uses', () => {
    const used = (key: string) => literals.has(key) || prefixes.some((prefix) => key.startsWith(prefix))
    expect(keys.filter((key) => !used(key) && !used(base(key)))).toEqual([])
  })

  it('is kept in order, so that a text is found', () => {
    expect(keys).toEqual(keys.toSorted())
    expect(Object.keys(catalogue.de)).toEqual(keys)
  })

  it('speaks without exclamation marks', () => {
    for (const texts of Object.values(catalogue)) {
      expect(Object.values(texts).filter((value) => value.includes('!'))).toEqual([])
    }
  })
})

describe('a text', () => {
  const t = createTranslate('en', catalogue.en)

  it('chooses its form by the count', () => {
    expect(t('busy.wait_seconds', { count: 1 })).toBe('Please try again in a second.')
    expect(t({ key: 'busy.wait_seconds', params: { count: 5 } })).toBe('Please try again in 5 seconds.')
  })

  it('that is missing fails loudly, and so does a missing parameter', () => {
    expect(() => t('no.such.text')).toThrow('No text for "no.such.text"')
    expect(() => t('__proto__')).toThrow('No text')
    expect(() => t('sign_in.heading')).toThrow('needs the parameter "service"')
  })

  it('takes what is in a parameter as it stands', () => {
    const message: Message = { key: 'sign_in.heading', params: { service: '{service} $& $1' } }
    expect(t(message)).toBe('Sign in to {service} $& $1')
  })
})
