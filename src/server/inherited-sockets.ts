/** The first file descriptor that systemd hands over (sd_listen_fds(3)). */
const FIRST_FD = 3

/** Sockets that systemd opened for this process. */
export interface InheritedSocket {
  name: string
  fd: number
}

/** Reads what systemd says in the environment. Sockets that are meant for another process are not ours. */
export function inheritedSockets(env: NodeJS.ProcessEnv, pid: number): InheritedSocket[] {
  if (Number(env.LISTEN_PID) !== pid) return []
  const names = env.LISTEN_FDNAMES?.split(':') ?? []
  const count = Number(env.LISTEN_FDS)
  return Array.from({ length: Number.isInteger(count) && count > 0 ? count : 0 }, (_, index) => ({
    name: names[index] ?? 'unknown',
    fd: FIRST_FD + index,
  }))
}
