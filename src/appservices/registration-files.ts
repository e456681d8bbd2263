import { readFile } from 'node:fs/promises'
import { ConfigError } from '../config/error.ts'
import { explainIssue, type Locate, line, pathText } from '../config/problems.ts'
import { parseSource } from '../config/source.ts'
import { type Appservice, registrationSchema } from './registration.ts'

/**
 * Reads the registration files that the configuration names.
 * @param files absolute paths
 * @param locate where `appservices.registration_files[…]` is written
 * @returns the appservices, and one line for each thing that is wrong; no line repeats a token
 */
export async function readRegistrationFiles(
  files: readonly string[],
  locate: Locate,
): Promise<{ appservices: Appservice[]; problems: string[] }> {
  const appservices: Appservice[] = []
  const problems: string[] = []
  for (const [index, file] of files.entries()) {
    const { appservice, faults } = await readRegistration(file)
    if (appservice) faults.push(...clashes(appservice, appservices, file))
    const option = ['appservices', 'registration_files', index]
    problems.push(...faults.map((fault) => line(option, fault, locate)))
    if (appservice) appservices.push(appservice)
  }
  return { appservices, problems }
}

async function readRegistration(
  file: string,
): Promise<{ appservice?: Appservice | undefined; faults: string[] }> {
  let content: string
  try {
    content = await readFile(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const fix = 'write the path of a file that the service may read'
    return { faults: [`names the file ${file}, which cannot be read (${code}); ${fix}`] }
  }
  try {
    const source = parseSource(content, file)
    const checked = registrationSchema.safeParse(source.value, { reportInput: true })
    const faults = (checked.error?.issues ?? []).map(
      (issue) =>
        `${file}:${source.lineOf(issue.path)}: ${pathText(issue.path)}: ${explainIssue(issue, registrationSchema)}`,
    )
    return { appservice: checked.data, faults }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { faults: [...error.problems] }
  }
}

/** As in Synapse, a token or a name that two have would make it a matter of luck which of them is meant. */
function clashes(one: Appservice, others: readonly Appservice[], file: string): string[] {
  const faults: string[] = []
  if (others.some(({ id }) => id === one.id)) {
    faults.push(`${file}: id: is that of another file too; give each appservice a name of its own`)
  }
  if (others.some(({ tokenHash }) => tokenHash.equals(one.tokenHash))) {
    faults.push(`${file}: as_token: is that of another file too; generate a token for each appservice`)
  }
  return faults
}
