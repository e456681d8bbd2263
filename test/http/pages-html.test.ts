import { HtmlValidate } from 'html-validate'
import { describe, expect, it } from 'vitest'
import { pageSamples } from '../../src/views/page-samples.ts'
import { renderSample, sampleSlug } from '../support/page-gallery.ts'

const validator = new HtmlValidate({
  extends: ['html-validate:recommended'],
  rules: {
    // Whitespace that templates leave at line ends is nobody's trouble.
    'no-trailing-whitespace': 'off',
    // HTML's own spelling of the doctype is case-insensitive.
    'doctype-style': 'off',
    // The service names what it means by the words it uses, and wraps lines as they come.
    'long-title': 'off',
    // Pages show identifiers that only look like telephone numbers.
    'tel-non-breaking': 'off',
  },
})

describe.each(['en', 'de'] as const)('in %s', (locale) => {
  it.each(pageSamples.map((sample) => [sampleSlug(sample), sample] as const))(
    'the page %s is valid HTML',
    async (_slug, sample) => {
      const report = await validator.validateString(renderSample(sample, locale))
      const findings = report.results.flatMap(({ messages }) =>
        messages.map(({ ruleId, message, line }) => `${line}: ${message} (${ruleId})`),
      )
      expect(findings).toEqual([])
    },
  )
})

describe('every page', () => {
  it.each(pageSamples.map((sample) => [sampleSlug(sample), renderSample(sample, 'en')] as const))(
    '%s carries nothing inline that a strict policy refuses',
    (_slug, html) => {
      const bare = html.replace(/="[^"]*"/g, '=""')
      expect(bare).not.toMatch(/<[^>]+\sstyle=/i)
      expect(html).not.toMatch(/<style/i)
      expect(html).not.toMatch(/<script(?![^>]*\ssrc=)/i)
      expect(bare).not.toMatch(/<[^>]+\son[a-z]+=/i)
      expect(html).not.toMatch(/(?:href|src|action)="javascript:/i)
    },
  )

  it.each(pageSamples.map((sample) => [sampleSlug(sample), renderSample(sample, 'en')] as const))(
    '%s has one heading of the first level and a title that names it',
    (_slug, html) => {
      const headings = [...html.matchAll(/<h1>(?:<bdi>)?([^<]+)/g)].map((match) => match[1])
      expect(headings).toHaveLength(1)
      expect(/<title>([^<]+)/.exec(html)?.[1]).toContain(headings[0])
    },
  )
})
