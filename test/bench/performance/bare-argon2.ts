import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { hashArgon2, verifyArgon2 } from '../../../src/users/password-schemes.ts'

// What password sign-in could reach at best: nothing but argon2id with the service's parameters. Whoever connects
// says how many checks to run at once and for how many milliseconds, and is told how many were done.

const password = Buffer.from('correct horse battery staple')
const stored = await hashArgon2(password)

async function checksWithin(atOnce: number, milliseconds: number): Promise<number> {
  const end = performance.now() + milliseconds
  let done = 0
  const check = async () => {
    while (performance.now() < end) {
      if (!(await verifyArgon2(stored, password))) throw new Error('The password is right')
      done += 1
    }
  }
  await Promise.all(Array.from({ length: atOnce }, check))
  return done
}

const server = createServer((socket) => {
  socket.once('data', async (line) => {
    const [atOnce = 1, milliseconds = 0] = String(line).split(' ').map(Number)
    const started = performance.now()
    const done = await checksWithin(atOnce, milliseconds)
    socket.end(String((done * 1000) / (performance.now() - started)))
  })
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
process.once('SIGTERM', () => process.exit(0))
