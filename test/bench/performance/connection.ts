import { connect, type Socket } from 'node:net'

/** A POST. */
export interface Ask {
  path: string
  headers: Record<string, string>
  body: string
}

/** One client: what it asks next, and what it makes of the answer. */
export interface Conversation {
  request(): Ask
  /** Gives the milliseconds to wait before the next request. Throws where the answer is not what is measured. */
  answer(status: number, body: string): number
}

/** A keep-alive connection that asks again as soon as it was answered. */
export interface Client {
  close(): void
}

/** A whole HTTP/1.1 request that keeps the connection alive. */
function written({ path, headers, body }: Ask): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${lines.join('')}content-length: ${body.length}\r\n\r\n${body}`
}

const HEAD_END = '\r\n\r\n'

/**
 * Talks HTTP over a bare socket: an HTTP client would cost the load generator more than the request costs the
 * server. Reads what our servers send: a status line and a Content-Length.
 */
export function talk(
  port: number,
  conversation: Conversation,
  { onAnswer, onError }: { onAnswer: (milliseconds: number) => void; onError: (error: Error) => void },
): Client {
  let socket: Socket
  let sent = 0
  let received = ''
  let closed = false

  function fail(error: Error): void {
    if (closed) return
    closed = true
    socket.destroy()
    onError(error)
  }

  function again(): void {
    socket.destroy()
    open()
  }

  function ask(): void {
    if (closed) return
    sent = performance.now()
    socket.write(written(conversation.request()), 'latin1')
  }

  function read(chunk: string): void {
    received = received === '' ? chunk : received + chunk
    const head = received.indexOf(HEAD_END)
    if (head === -1) return
    const length = Number(/content-length: (\d+)/i.exec(received.slice(0, head))?.[1])
    const end = head + HEAD_END.length + length
    if (Number.isNaN(length)) return fail(new Error(`An answer without Content-Length:\n${received}`))
    if (received.length < end) return
    const answer = received
    received = ''
    onAnswer(performance.now() - sent)
    let pause: number
    try {
      pause = conversation.answer(Number(answer.slice(9, 12)), answer.slice(head + HEAD_END.length))
    } catch (error) {
      return fail(error as Error)
    }
    // A refusal may close the connection: the next request needs a new one.
    const next = /^connection: close/im.test(answer.slice(0, head)) ? again : ask
    if (pause > 0) setTimeout(next, pause)
    else next()
  }

  function open(): void {
    if (closed) return
    socket = connect(port, '127.0.0.1', ask).setEncoding('latin1').setNoDelay(true)
    socket.on('data', read)
    socket.on('error', fail)
    socket.on('end', () => fail(new Error('The server closed the connection')))
  }

  open()
  return {
    close() {
      closed = true
      socket.destroy()
    },
  }
}
