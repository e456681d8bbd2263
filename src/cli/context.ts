import type { Config } from '../config/index.ts'
import type { Terminal } from './terminal.ts'

/** What every command is given. */
export interface Context {
  terminal: Terminal
  /** Reads the configuration that `--config` names. Throws ConfigError. */
  config(): Promise<Config>
}

/** @param file what `--config` says, known once the arguments are parsed */
export function createContext(terminal: Terminal, file: () => string | undefined): Context {
  return {
    terminal,
    async config() {
      // Only here: help and wrong arguments need no schema.
      const { loadConfig } = await import('../config/index.ts')
      return loadConfig({ file: file(), env: terminal.env, cwd: terminal.cwd })
    },
  }
}
