import { readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { readRegistrationFiles } from '../appservices/registration-files.ts'
import type { Config } from './config.ts'
import { applyOverrides, readEnvironment } from './environment.ts'
import { ConfigError } from './error.ts'
import { readSecretFiles } from './files.ts'
import { describeIssues, type Locate, pathText } from './problems.ts'
import { configSchema, type WrittenConfig } from './schema.ts'
import { placeBranding } from './sections/branding.ts'
import { parseSource, type Source } from './source.ts'

/** Where the configuration comes from. */
export interface LoadOptions {
  /** The path of the file; without it POSTERN_CONFIG counts, then ./postern.yaml where it exists. */
  file?: string | undefined
  env: NodeJS.ProcessEnv
  cwd: string
}

/**
 * Reads the configuration: the file, then environment variables over it, then the secrets and the
 * registration files that it names.
 * @throws ConfigError that lists everything that is wrong
 */
export async function loadConfig({ file, env, cwd }: LoadOptions): Promise<Config> {
  const found = await readConfigFile(file ?? (env.POSTERN_CONFIG || undefined), cwd)
  const folder = found ? dirname(found.path) : cwd
  const name = found ? relative(cwd, found.path) : 'configuration'
  const source: Source = found ? parseSource(found.text, name) : { value: {}, lineOf: () => 1 }
  const { overrides, problems } = readEnvironment(env)
  const { value } = source
  applyOverrides(value, overrides)

  const variables = new Map(overrides.map(({ option }) => [option.path.join('.'), option.variable]))
  const where: Locate = (path) => {
    for (let length = path.length; length > 0; length--) {
      const variable = variables.get(path.slice(0, length).join('.'))
      if (variable) return `environment variable ${variable}`
    }
    return found ? `${name}:${source.lineOf(path)}` : name
  }
  const files = await readSecretFiles(value, folder, where)
  const locate: Locate = (path) => where(files.twins.get(path.join('.')) ?? path)

  const checked = configSchema.safeParse(value, { reportInput: true })
  const issues = (checked.error?.issues ?? []).filter((issue) => !files.failed.has(issue.path.join('.')))
  problems.push(...files.problems, ...describeIssues(issues, locate))
  if (!checked.success) throw new ConfigError(problems)
  const registrationFiles = checked.data.appservices.registration_files.map((path) => resolve(folder, path))
  const registrations = await readRegistrationFiles(registrationFiles, locate)
  problems.push(...registrations.problems)
  if (problems.length > 0) throw new ConfigError(problems)
  const branding = placeBranding(checked.data.branding, (key, path) => {
    const option = ['branding', key]
    return { path: resolve(folder, path), where: `${locate(option)}: ${pathText(option)}` }
  })
  return { ...complete(checked.data, folder), branding, appservices: registrations.appservices }
}

async function readConfigFile(
  file: string | undefined,
  cwd: string,
): Promise<{ path: string; text: string } | undefined> {
  const path = resolve(cwd, file ?? 'postern.yaml')
  try {
    return { path, text: await readFile(path, 'utf8') }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && file === undefined) return undefined
    throw new ConfigError([`${path}: cannot be read (${code}); write the path of the configuration file`])
  }
}

function complete(written: WrittenConfig, folder: string): Omit<Config, 'appservices' | 'branding'> {
  const data_folder = resolve(folder, written.data_folder)
  const { branding: _, ...others } = written
  const { keys_folder, master } = written.secrets
  const rules = written.policies.folder
  const listeners = written.http.listeners.map((one) =>
    one.unix === undefined ? one : { ...one, unix: resolve(folder, one.unix) },
  )
  return {
    ...others,
    http: { ...written.http, listeners },
    data_folder,
    policies: { ...written.policies, folder: rules === undefined ? undefined : resolve(folder, rules) },
    secrets: { master, keys_folder: keys_folder ? resolve(folder, keys_folder) : join(data_folder, 'keys') },
  }
}
