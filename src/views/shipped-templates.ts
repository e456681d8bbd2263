import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TemplateFile } from './branding.ts'
import { templatesFolder } from './templates-folder.ts'

/** By this prefix a template of the operator's reaches the one of ours that it stands over. */
export const SHIPPED = 'postern/'

/** Our templates by name, such as `pages/sign-in.njk`. */
export function readShippedTemplates(): Map<string, TemplateFile> {
  const templates = new Map<string, TemplateFile>()
  for (const found of readdirSync(templatesFolder, { recursive: true, encoding: 'utf8' })) {
    if (!found.endsWith('.njk')) continue
    const name = found.replaceAll('\\', '/')
    const path = fileURLToPath(new URL(name, templatesFolder))
    templates.set(name, { path, source: readFileSync(path, 'utf8') })
  }
  return templates
}

/** Every template that may be asked for by name: the operator's over ours, and ours by `postern/<name>` too. */
export function layTemplates(
  shipped: ReadonlyMap<string, TemplateFile>,
  own: ReadonlyMap<string, TemplateFile>,
): Map<string, TemplateFile> {
  const all = new Map([...shipped, ...own])
  for (const [name, file] of shipped) all.set(SHIPPED + name, file)
  return all
}
