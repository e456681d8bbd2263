import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A real nginx in front of several replicas, as docs/operate.md has it. */
export interface Balancer {
  /** Ends with a slash. */
  url: string
  stop(): Promise<void>
}

export async function startBalancer(port: number, replicas: string[]): Promise<Balancer> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-balancer-'))
  // As root nginx works under another account, which has to get at its temporary files.
  await chmod(folder, 0o711)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((one) => `${one}_temp_path ${folder}/${one};`)
    .join('\n')
  const servers = replicas.map((url) => `server ${new URL(url).host} max_fails=1 fail_timeout=1s;`).join('\n')
  const file = join(folder, 'nginx.conf')
  await writeFile(
    file,
    `daemon off; pid ${folder}/nginx.pid; error_log stderr crit;
    events {}
    http {
      access_log off; ${temporary}
      upstream postern { ${servers} }
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass http://postern;
          proxy_set_header X-Forwarded-For $remote_addr;
          proxy_set_header Host $host;
        }
      }
    }`,
  )
  const child = spawn('/usr/sbin/nginx', ['-p', folder, '-e', 'stderr', '-c', file], { stdio: 'inherit' })
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  const url = `http://localhost:${port}/`
  while (!(await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined))) {
    if (child.exitCode !== null) throw new Error('nginx did not start')
    await delay(50)
  }
  return {
    url,
    async stop() {
      process.off('exit', killWithUs)
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      await exit
      await rm(folder, { recursive: true, force: true })
    },
  }
}
