import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** What Synapse's own configuration reader says. */
export interface SynapseVerdict {
  accepted: boolean
  /** Its last words where it does not accept. */
  message: string | undefined
}

/**
 * Has Synapse read the edited files, as it would when it starts.
 * @param python a Python that has Synapse
 * @param folder where the original files are: relative paths and keys are looked for there
 */
export async function checkWithSynapse(
  python: string,
  files: readonly string[],
  folder: string,
): Promise<SynapseVerdict> {
  const config = files.flatMap((file) => ['-c', file])
  const args = ['-m', 'synapse.config', ...config, '--keys-directory', folder]
  try {
    await promisify(execFile)(python, args, { cwd: folder, timeout: 120_000 })
    return { accepted: true, message: undefined }
  } catch (error) {
    const { code, stderr = '' } = error as { code?: string | number; stderr?: string }
    const lines = stderr.split('\n').filter((line) => line.trim() !== '')
    return { accepted: false, message: lines.at(-1)?.trim() ?? `${python} cannot be run (${code})` }
  }
}
