import { execFile } from 'node:child_process'

/**
 * Tells systemd that the service is ready, where a unit with `Type=notify` started it (sd_notify(3)); what waits for
 * it, `systemctl start` included, goes on then. By systemd's own program, because Node.js has no datagram sockets on
 * Unix. Never fails: without the word, systemd gives the start up in time, and says so.
 */
export async function tellSystemd(env: NodeJS.ProcessEnv): Promise<void> {
  if (!env.NOTIFY_SOCKET) return
  await new Promise<void>((resolve) => {
    execFile('systemd-notify', ['--ready'], { env }, () => resolve())
  })
}
