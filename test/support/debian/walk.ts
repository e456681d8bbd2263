import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const project = fileURLToPath(new URL('../../..', import.meta.url))

/** A block of commands of a page, and the line of the page on which its first command stands. */
export interface Block {
  line: number
  commands: string
}

/** The commands of a page of the documentation, in order. */
export async function commandsOf(page: string): Promise<Block[]> {
  const text = await readFile(join(project, page), 'utf8')
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(({ index, 1: commands = '' }) => ({
    line: text.slice(0, index).split('\n').length + 1,
    commands,
  }))
}

/** The working folder as one commit of a repository that can be cloned, whatever is committed of it. */
export async function repositoryOf(folder: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'postern-index-'))
  const git = async (...args: string[]) => {
    const who = { GIT_AUTHOR_NAME: 'test', GIT_AUTHOR_EMAIL: 'test@example.org' }
    const env = {
      ...process.env,
      ...who,
      GIT_COMMITTER_NAME: who.GIT_AUTHOR_NAME,
      GIT_COMMITTER_EMAIL: who.GIT_AUTHOR_EMAIL,
      GIT_INDEX_FILE: join(work, 'index'),
      GIT_DIR: folder,
      GIT_WORK_TREE: project,
    }
    return (await run('git', args, { env, cwd: project })).stdout.trim()
  }
  try {
    await run('git', ['init', '--quiet', '--bare', '--initial-branch=main', folder])
    await git('add', '--all')
    const commit = await git('commit-tree', '-m', 'As it is', await git('write-tree'))
    await git('update-ref', 'refs/heads/main', commit)
  } finally {
    await rm(work, { recursive: true })
  }
}
