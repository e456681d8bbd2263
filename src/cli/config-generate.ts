import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import { renderConfig } from '../config/document.ts'
import { PosternError } from '../errors.ts'
import type { Context } from './context.ts'
import { type HomeserverSettings, homeserverSettings } from './homeserver-yaml.ts'
import { parsePublicUrl } from './public-url.ts'
import type { Terminal } from './terminal.ts'

interface Options {
  synapse?: string
  publicUrl?: string
  output?: string
  synapseOutput?: string
  sample?: boolean
}

export function addConfigGenerate(parent: Command, { terminal }: Context): void {
  parent
    .command('generate')
    .description('write a configuration file with fresh secrets and every option explained')
    .option('--synapse <homeserver.yaml>', "take what is known from the homeserver's configuration")
    .option('--public-url <url>', 'the address under which browsers will reach this service')
    .option('--output <file>', 'where to write it, instead of standard output')
    .option('--synapse-output <file>', "where to write the homeserver's part, instead of showing it")
    .option('--sample', 'no secrets, only the defaults (config.sample.yaml)')
    .action((options: Options) => generate(options, terminal))
}

async function generate(options: Options, terminal: Terminal): Promise<void> {
  const publicUrl = parsePublicUrl(options.publicUrl)
  const settings = options.synapse
    ? await homeserverSettings(resolve(terminal.cwd, options.synapse))
    : undefined
  const secret = settings?.secret ?? randomBytes(32).toString('hex')
  const values = options.sample ? {} : valuesOf(publicUrl, settings, secret)
  const { synapseOutput } = options
  if (synapseOutput !== undefined && !settings)
    throw new PosternError(
      'synapse_output',
      '--synapse-output needs --synapse: the configuration that it goes with',
    )
  const output = await write(renderConfig(values), options.output, terminal)
  if (settings) await explain(settings, { publicUrl, secret, output, synapseOutput }, terminal)
}

function valuesOf(publicUrl: string | undefined, settings: HomeserverSettings | undefined, secret: string) {
  const endpoint = settings?.endpoint
  return {
    http: { public_url: publicUrl },
    matrix: { server_name: settings?.serverName, endpoint, secret: endpoint ? secret : undefined },
    passwords: { bcrypt_pepper: settings?.pepper },
    secrets: { master: randomBytes(32).toString('hex') },
  }
}

/** Writes a new file that only its owner may read. */
async function write(
  text: string,
  file: string | undefined,
  terminal: Terminal,
): Promise<string | undefined> {
  if (file === undefined) {
    terminal.print(text.trimEnd())
    return undefined
  }
  const path = resolve(terminal.cwd, file)
  await writeFile(path, text, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    const what =
      error.code === 'EEXIST'
        ? 'is there already, and is not overwritten'
        : `cannot be written (${error.code})`
    throw new PosternError('output', `${path}: ${what}`, { cause: error })
  })
  return path
}

interface Made {
  publicUrl: string | undefined
  secret: string
  /** Files; undefined for standard output. */
  output: string | undefined
  synapseOutput: string | undefined
}

/** The homeserver's part, and what is left to do by hand. Beside a configuration on standard output it goes to standard error. */
async function explain(settings: HomeserverSettings, made: Made, terminal: Terminal): Promise<void> {
  const { publicUrl, output, synapseOutput } = made
  const say = output ? terminal.print : terminal.note
  if (output) say(`Written: ${output}`)
  const text = homeserverPart(publicUrl, made.secret)
  if (synapseOutput) {
    say(`Written: ${await write(text, synapseOutput, terminal)}`)
    say('It is for Synapse: give it to its account, and have Synapse read it beside homeserver.yaml.')
  } else {
    say(
      'Put this into homeserver.yaml (if Synapse is on another machine, write the public address as endpoint):',
    )
    say('')
    for (const line of text.trimEnd().split('\n')) say(line)
    say('')
  }
  if (settings.conflicts.length > 0)
    say(`Remove from homeserver.yaml, or Synapse does not start: ${settings.conflicts.join(', ')}`)
  if (!settings.endpoint)
    say('homeserver.yaml does not tell where Synapse listens: set matrix.endpoint and matrix.secret yourself')
  if (!publicUrl) say('Set http.public_url to the address under which browsers will reach this service')
}

function homeserverPart(publicUrl: string | undefined, secret: string): string {
  // Synapse asks on the machine's own address, so it works before DNS and TLS do.
  const endpoint = `http://localhost:8080${publicUrl ? new URL(publicUrl).pathname : '/'}`
  const part = { matrix_authentication_service: { enabled: true, endpoint, secret } }
  // Quoted, because YAML 1.1, which Synapse reads, takes more words for numbers.
  return stringify(part, { lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' })
}
