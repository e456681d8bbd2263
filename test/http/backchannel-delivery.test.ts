import { type AddressInfo, createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDelivery } from '../../src/oauth/backchannel/deliver.ts'
import { isPublicAddress } from '../../src/oauth/backchannel/public-network.ts'
import { type RelyingParty, startRelyingParty } from '../support/relying-party.ts'

// Check 54: what this service fetches of what a stranger names.

let app: RelyingParty
beforeEach(async () => {
  app = await startRelyingParty()
})
afterEach(() => app.stop())

const form = { logout_token: 'a.b.c' }
const anywhere = { privateToo: true }
const publicOnly = { privateToo: false }
/** A name server that has these answers, one after the other. */
function names(...answers: string[][]) {
  const asked: string[] = []
  const resolve = async (hostname: string) => {
    asked.push(hostname)
    return answers.shift() ?? []
  }
  return { asked, deliver: createDelivery({ resolve }) }
}

describe('check 54: an address that a stranger registered', () => {
  it.each([
    '0.0.0.0',
    '10.0.0.1',
    '100.64.0.1',
    '127.0.0.1',
    '127.1.2.3',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::7f00:1',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    'localhost',
    '',
  ])('is not public where it is %s', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  it.each(['1.1.1.1', '172.32.0.1', '192.169.0.1', '::ffff:1.1.1.1', '2606:4700::1111', '2a01:4f8::1'])(
    'is public where it is %s',
    (address) => {
      expect(isPublicAddress(address)).toBe(true)
    },
  )

  it('is not called where it names a private address itself, however that is spelt', async () => {
    const { port } = new URL(app.url)
    const { asked, deliver } = names()
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '127.1', '[::1]', '[::ffff:127.0.0.1]']) {
      const delivery = await deliver(`http://${host}:${port}/`, form, publicOnly)
      expect(delivery, host).toEqual({ result: 'refused', reason: 'the address is not public' })
    }
    expect(asked).toEqual([])
    expect(app.notices).toEqual([])
  })

  it('is not called where its name stands for a private address, alone or beside a public one', async () => {
    const { port } = new URL(app.url)
    for (const addresses of [['127.0.0.1'], ['1.1.1.1', '127.0.0.1'], ['::1'], ['::ffff:127.0.0.1']]) {
      const { asked, deliver } = names(addresses)
      const delivery = await deliver(`http://rebind.example:${port}/`, form, publicOnly)
      expect(delivery, String(addresses)).toMatchObject({
        result: 'refused',
        reason: expect.stringContaining('not public'),
      })
      // What was checked is what is connected to: nobody asks a second time, who might get another answer.
      expect(asked).toEqual(['rebind.example'])
    }
    expect(app.notices).toEqual([])
  })

  it('does not lead elsewhere by a redirect', async () => {
    app.answer({ redirect: `${app.url}inside` })
    const delivery = await names().deliver(`${app.url}outside`, form, anywhere)
    expect(delivery).toEqual({ result: 'refused', reason: 'answered 302' })
    expect(app.notices.map(({ path }) => path)).toEqual(['/outside'])
  })

  it('may answer without end: its status is all that is read', async () => {
    app.answer('flood')
    expect(await names().deliver(app.url, form, anywhere)).toEqual({ result: 'delivered' })
  })

  it('may not answer at all: it is waited for two and a half seconds', async () => {
    app.answer('hang')
    const delivery = await names().deliver(app.url, form, anywhere)
    expect(delivery).toEqual({ result: 'failed', reason: 'gave no answer within 2.5 seconds' })
  })

  it('is tried again later where it cannot be reached or says something else than HTTP', async () => {
    const { url } = app
    await app.stop()
    const away = await names().deliver(url, form, anywhere)
    expect(away).toEqual({ result: 'failed', reason: 'cannot be reached (ECONNREFUSED)' })
    const nowhere = createDelivery({
      resolve: async () => {
        throw Object.assign(new Error('queryA ENOTFOUND'), { code: 'ENOTFOUND' })
      },
    })
    const unknown = await nowhere('https://nowhere.example/', form, publicOnly)
    expect(unknown).toEqual({ result: 'failed', reason: 'cannot be reached (ENOTFOUND)' })
    for (const words of ['SSH-2.0-OpenSSH\r\n', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(9000)}\r\n\r\n`, '']) {
      const server = createServer((socket) => socket.end(words))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      const delivery = await names().deliver(`http://127.0.0.1:${port}/`, form, anywhere)
      expect(delivery, words).toMatchObject({ result: 'failed' })
      server.close()
    }
    app = await startRelyingParty()
  })

  it.each([
    [200, 'delivered'],
    [204, 'delivered'],
    [400, 'refused'],
    [401, 'refused'],
    [404, 'refused'],
    [408, 'failed'],
    [429, 'failed'],
    [500, 'failed'],
    [503, 'failed'],
  ])('that answers %s: %s', async (status, result) => {
    app.answer(status)
    expect(await names().deliver(app.url, form, anywhere)).toMatchObject({ result })
  })
})
