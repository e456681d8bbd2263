import { execFile } from 'node:child_process'
import { mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { hostMirrors, likeHost } from './host.ts'

const run = promisify(execFile)
const WEEK = 7 * 86_400_000

/** Where downloads and the empty Debian are kept between runs. */
export const cacheFolder = fileURLToPath(new URL('../../../.cache/debian', import.meta.url))

/**
 * An empty Debian, as its installer leaves a machine: made by debootstrap, and again when it is a week old. The ACME
 * server is the test's, see certificates.ts.
 */
export async function emptyDebian(suite: string): Promise<string> {
  const image = join(cacheFolder, suite)
  const made = await stat(image).catch(() => undefined)
  if (made && Date.now() - made.birthtimeMs < WEEK) return image
  const { main, security } = await hostMirrors()
  const unfinished = `${image}.unfinished`
  for (const folder of [unfinished, image]) await rm(folder, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true })
  const include = '--include=ca-certificates,dbus,openssl,pebble,systemd-sysv'
  await run('debootstrap', ['--variant=minbase', include, suite, unfinished, main]).catch((error) => {
    throw new Error(`debootstrap: ${error.message}\n${error.stdout}`)
  })
  const sources = [`deb ${main} ${suite} main`, `deb ${main} ${suite}-updates main`]
  if (security) sources.push(`deb ${security} ${suite}-security main`)
  await writeFile(join(unfinished, 'etc/apt/sources.list'), `${sources.join('\n')}\n`)
  // It is thrown away: no waiting for the disk.
  await writeFile(join(unfinished, 'etc/dpkg/dpkg.cfg.d/throwaway'), 'force-unsafe-io\n')
  // The kernel is the host's.
  await symlink('/dev/null', join(unfinished, 'etc/systemd/system/systemd-modules-load.service'))
  await rename(unfinished, image)
  return image
}

/** A copy of it for one machine, which can reach what the host reaches. */
export async function copyOf(image: string, folder: string): Promise<void> {
  await run('cp', ['--archive', '--reflink=auto', `${image}/.`, folder])
  await likeHost(folder)
  await run('chroot', [folder, 'update-ca-certificates'])
}
