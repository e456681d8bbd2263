import { createHash } from 'node:crypto'
import { ArchiveError, END_MARK, parseLine } from './format.ts'

const NEWLINE = 10
const END = Buffer.from(END_MARK)

/** Reads an archive line by line, and sums up what it has read. */
export interface LineReader {
  /** The next line without its newline. Throws an ArchiveError at the end of the file. */
  line(): Promise<string>
  /** The bytes up to the next end mark, in pieces of whole lines. */
  rows(): AsyncGenerator<Buffer>
  /** Reads the last line and throws an ArchiveError where its sum is not that of everything before it. */
  verify(): Promise<void>
}

export function createLineReader(chunks: AsyncIterable<Buffer>): LineReader {
  const source = chunks[Symbol.asyncIterator]()
  const hash = createHash('sha256')
  let rest: Buffer = Buffer.alloc(0)

  async function more(): Promise<void> {
    const { value, done } = await source.next()
    if (done) throw new ArchiveError('it is cut off')
    rest = rest.length === 0 ? value : Buffer.concat([rest, value])
  }

  async function take(): Promise<Buffer> {
    let searched = 0
    for (;;) {
      const end = rest.indexOf(NEWLINE, searched)
      if (end >= 0) {
        const line = rest.subarray(0, end + 1)
        rest = rest.subarray(end + 1)
        return line
      }
      searched = rest.length
      await more()
    }
  }

  async function line(): Promise<string> {
    const bytes = await take()
    hash.update(bytes)
    return bytes.toString('utf8', 0, bytes.length - 1)
  }

  return {
    line,
    async *rows() {
      for (;;) {
        // Whole lines of what is there already go on in one piece.
        const lastNewline = rest.lastIndexOf(NEWLINE)
        if (lastNewline < 0) {
          await more()
          continue
        }
        const mark = rest.subarray(0, END.length).equals(END) ? 0 : rest.indexOf(`\n${END_MARK}`) + 1
        const found = mark > 0 || rest.subarray(0, END.length).equals(END)
        const piece = rest.subarray(0, found ? mark : lastNewline + 1)
        rest = rest.subarray(piece.length)
        hash.update(piece)
        if (piece.length > 0) yield piece
        if (found) {
          hash.update(await take())
          return
        }
      }
    },
    async verify() {
      const expected = hash.digest('hex')
      const last = parseLine((await take()).toString('utf8')) as { sha256?: string }
      if (last.sha256 !== expected) throw new ArchiveError('it is damaged: its sum is another one')
      const { done } = rest.length > 0 ? { done: false } : await source.next()
      if (!done) throw new ArchiveError('something follows its end')
    },
  }
}
