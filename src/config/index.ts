export type { Config } from './config.ts'
export { ConfigError } from './error.ts'
export { type LoadOptions, loadConfig } from './load.ts'
