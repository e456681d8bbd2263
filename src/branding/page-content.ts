import { type DefaultTreeAdapterTypes, html as htmlNames, parse } from 'parse5'

type Element = DefaultTreeAdapterTypes.Element
type Node = DefaultTreeAdapterTypes.Node

/** One form that is posted, as a browser would send it. */
export interface PageForm {
  action: string
  /** Names of what a person fills in, with their type where it matters. */
  fields: Set<string>
  /** Hidden fields and buttons, as `name=value`. */
  fixed: Set<string>
  hasButton: boolean
}

/** What of a page is compared with ours. */
export interface PageContent {
  forms: PageForm[]
  /** Everything that can be read on it. */
  text: string
  /** What the pages' Content-Security-Policy refuses, with a pattern of how it may be written in a template. */
  refused: { what: string; written: RegExp }[]
  /** Where its pictures come from. */
  pictures: Set<string>
}

const attribute = (element: Element, name: string) => element.attrs.find((one) => one.name === name)?.value

function* elementsOf(node: Node): Generator<Element> {
  if ('tagName' in node) yield node
  if ('childNodes' in node) for (const child of node.childNodes) yield* elementsOf(child)
}

function* textsOf(node: Node): Generator<string> {
  if ('value' in node && node.nodeName === '#text') yield node.value
  if ('tagName' in node && node.tagName === 'input') yield attribute(node, 'value') ?? ''
  if ('childNodes' in node) for (const child of node.childNodes) yield* textsOf(child)
}

/** Reads a page as browsers do. @param nonce the one that it was made with */
export function readPage(document: string, nonce: string): PageContent {
  const root = parse(document)
  const content: PageContent = { forms: [], text: '', refused: [], pictures: new Set() }
  const parts: string[] = []
  for (const text of textsOf(root)) parts.push(text)
  content.text = parts.join(' ')
  for (const element of elementsOf(root)) {
    if (element.namespaceURI !== htmlNames.NS.HTML) continue
    if (element.tagName === 'form' && attribute(element, 'method')?.toLowerCase() === 'post')
      content.forms.push(readForm(element))
    if (element.tagName === 'img') content.pictures.add(attribute(element, 'src') ?? '')
    const refused = refusedBy(element, nonce)
    if (refused) content.refused.push(refused)
  }
  return content
}

function readForm(form: Element): PageForm {
  const read: PageForm = {
    action: attribute(form, 'action') ?? '',
    fields: new Set(),
    fixed: new Set(),
    hasButton: false,
  }
  for (const element of elementsOf(form)) {
    const name = attribute(element, 'name') ?? ''
    const value = attribute(element, 'value') ?? ''
    const type =
      attribute(element, 'type')?.toLowerCase() ?? (element.tagName === 'button' ? 'submit' : 'text')
    if (element.tagName === 'button' || (element.tagName === 'input' && type === 'submit')) {
      if (type !== 'submit') continue
      read.hasButton = true
      if (name !== '') read.fixed.add(`${name}=${value}`)
    } else if (element.tagName === 'input' && type === 'hidden') read.fixed.add(`${name}=${value}`)
    else if (element.tagName === 'input')
      read.fields.add(type === 'password' || type === 'checkbox' ? `${name} (${type})` : name)
    else if (element.tagName === 'textarea' || element.tagName === 'select') read.fields.add(name)
  }
  return read
}

const FRAMES = ['iframe', 'object', 'embed', 'frame', 'base', 'video', 'audio', 'applet']

function refusedBy(element: Element, nonce: string): PageContent['refused'][number] | undefined {
  const { tagName } = element
  if (FRAMES.includes(tagName))
    return {
      what: `has <${tagName}>, which the pages' security policy refuses; leave it out`,
      written: new RegExp(`<${tagName}\\b`, 'i'),
    }
  const isStyles = tagName === 'link' && /\bstylesheet\b/i.test(attribute(element, 'rel') ?? '')
  if ((tagName === 'script' || tagName === 'style' || isStyles) && attribute(element, 'nonce') !== nonce)
    return {
      what: `has <${tagName}> without a nonce, which the pages' security policy refuses; write <${tagName} nonce="{{ cspNonce }}">`,
      written: new RegExp(`<${tagName}\\b(?![^>]*\\bnonce=)`, 'i'),
    }
  for (const { name, value } of element.attrs) {
    if (name === 'style' || /^on[a-z]+$/.test(name))
      return {
        what: `has the attribute ${name}="…", which the pages' security policy refuses; use a <${name === 'style' ? 'style' : 'script'} nonce="{{ cspNonce }}"> instead`,
        written: new RegExp(`\\s${name}\\s*=`, 'i'),
      }
    if (
      ['href', 'src', 'action', 'formaction'].includes(name) &&
      /^[\s\0]*(?:javascript|vbscript|data:text)/i.test(value)
    )
      return { what: `has a script in ${name}="…"; leave it out`, written: /javascript|vbscript|data:text/i }
  }
  return undefined
}
