import { setImmediate } from 'node:timers/promises'
import { type Branding, createViews, type PageData, type PageName, type Views } from '../views/index.ts'
import { pageSamples, sampleNow } from '../views/page-samples.ts'
import { readShippedTemplates, SHIPPED } from '../views/shipped-templates.ts'
import { placeOf } from '../views/template-errors.ts'
import { cleanText } from '../views/untrusted-text.ts'
import type { PageContent, PageForm } from './page-content.ts'
import { readSyntax } from './template-syntax.ts'

type Sample = (typeof pageSamples)[number]

const NONCE = 'c2FtcGxlLW5vbmNl'

/** What is wrong with a page, and how the place in a template may be recognised. */
interface Finding {
  what: string
  written?: RegExp
}

/**
 * Makes every page in every state that we know of with the operator's templates and texts, and compares it with ours:
 * what its forms send must stay, and so must what people need to see before they answer.
 * @returns what is wrong, one problem a line, with file and line
 */
export async function checkPages(branding: Branding): Promise<string[]> {
  const own = createPages(branding)
  const place = createPlaces(branding)
  const problems = new Map<string, string>()
  // The same in many states and pages is one thing to mend.
  const add = (problem: string) => {
    const key = problem.replace(/ \(on the page .*\)$/, '')
    if (!problems.has(key)) problems.set(key, problem)
  }
  for (const locale of Object.keys(branding.catalogue))
    for (const sample of pageSamples) {
      await aMoment()
      const { fault } = render(own, sample, locale)
      if (fault !== undefined) add(explainFault(fault, sample, place))
    }
  if (problems.size > 0 || branding.templates.size === 0) return [...problems.values()]

  // Only here, because most services have no templates of their own.
  const { readPage } = await import('./page-content.ts')
  const shipped = createPages({ ...branding, templates: new Map() })
  for (const sample of pageSamples) {
    await aMoment()
    const theirs = readPage(render(own, sample, 'en').html ?? '', NONCE)
    const ours = readPage(render(shipped, sample, 'en').html ?? '', NONCE)
    for (const { what, written } of compare(theirs, ours, sample))
      add(`${place(sample.page, written)}: ${what}`)
  }
  return [...problems.values()]
}

/** At a reload, requests come first: all pages together take a second, and one of them a few milliseconds. */
const aMoment = () => setImmediate()

function createPages(branding: Branding): Views {
  return createViews({ branding, basePath: '/', clock: { now: () => sampleNow }, traceErrors: true })
}

/** The cast holds because samples are typed where they are written. */
function render(
  views: Views,
  { page, data, path }: Sample,
  locale: string,
): { html?: string; fault?: Error } {
  try {
    const options = { locale, path, cspNonce: NONCE }
    return { html: views.render(page as PageName, data as PageData[PageName], options) }
  } catch (error) {
    return { fault: error as Error }
  }
}

/** Where a template failed and why, without what nunjucks writes around it. */
function explainFault(error: Error, { page, state }: Sample, place: FindPlace): string {
  const found = placeOf(error)
  const words = error.message
    .split('\n')
    .at(-1)!
    .trim()
    .replace(/^(?:Template render error|Error): /, '')
  const what =
    words === 'attempted to output null or undefined value'
      ? 'shows something that there is not; write {% if … %} around it, or check its name'
      : words
  return `${found ? `${found.path}:${found.line}` : place(page)}: ${what} (on the page ${page}, ${state})`
}

function compare(theirs: PageContent, ours: PageContent, { page, state, data }: Sample): Finding[] {
  const where = `(on the page ${page}, ${state})`
  const findings: Finding[] = theirs.refused.map(({ what, written }) => ({ what, written }))
  for (const form of ours.forms) {
    const found = theirs.forms.filter(({ action }) => action === form.action)
    const best = found.map((one) => missingIn(one, form)).toSorted((a, b) => a.length - b.length)[0]
    const missing = best ?? [`the form that is posted to ${form.action}`]
    for (const what of missing) findings.push({ what: `lacks ${what} ${where}`, written: /<form\b/i })
  }
  for (const source of theirs.pictures)
    if (/^(?:https?:)?\/\//i.test(source) && !ours.pictures.has(source))
      findings.push({
        what: `has a picture from elsewhere (${source}), which the pages' security policy refuses; write it as data:, or leave it out`,
        written: /<img\b/i,
      })
  for (const words of telling(data))
    if (ours.text.includes(words) && !theirs.text.includes(words))
      findings.push({ what: `does not show "${words}", by which people know what they agree to ${where}` })
  return findings
}

function missingIn(theirs: PageForm, ours: PageForm): string[] {
  const missing: string[] = []
  for (const each of ours.fixed)
    if (!theirs.fixed.has(each)) {
      const [name] = each.split('=')
      missing.push(
        name === 'csrf' || name === 'next'
          ? `the hidden field "${name}"; write {{ formStart(form) }} into the form`
          : `the field or button ${each} in the form; write it as ours has it`,
      )
    }
  for (const each of ours.fields)
    if (!theirs.fields.has(each)) missing.push(`the field ${each} in the form; write it as ours has it`)
  if (ours.hasButton && !theirs.hasButton) missing.push('a button that sends the form')
  return missing
}

/** Who asks, for whom, and where it leads: no template may leave these out where ours shows them. */
function telling(data: object): string[] {
  const { client, user, device, destination } = data as Record<string, Record<string, unknown> | undefined>
  return [
    client?.host,
    client?.redirectHost,
    client?.redirectScheme,
    user?.mxid,
    device?.id,
    destination?.host,
    destination?.scheme,
  ]
    .filter((words) => typeof words === 'string')
    .map(cleanText)
}

type FindPlace = (page: string, written?: RegExp) => string

/** Where in the operator's templates something on a page most likely stands, as `file:line`. */
function createPlaces({ templates }: Branding): FindPlace {
  const shipped = readShippedTemplates()

  function used(page: string): string[] {
    const names = new Set([`pages/${page}.njk`])
    for (const name of names) {
      const plain = name.startsWith(SHIPPED) ? name.slice(SHIPPED.length) : undefined
      const file = plain ? shipped.get(plain) : (templates.get(name) ?? shipped.get(name))
      for (const reference of file ? readSyntax(file.source, []).references : []) names.add(reference.name)
    }
    return [...names].filter((name) => templates.has(name))
  }

  return (page, written) => {
    const files = used(page).map((name) => templates.get(name)!)
    const lineIn = (source: string) =>
      written ? source.split('\n').findIndex((line) => written.test(line)) + 1 : 0
    const file = files.find(({ source }) => lineIn(source) > 0) ?? files[0]
    // Only texts can be at fault where a page uses no template of the operator's.
    if (!file) return `pages/${page}.njk:1`
    return `${file.path}:${lineIn(file.source) || 1}`
  }
}
