import type { Locale } from './messages.ts'

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const WEEK = 7 * DAY

/** English dates name the month, so that nobody has to guess which number is the day. */
const FORMAT_LOCALES = new Map<Locale, string>([
  ['en', 'en-GB'],
  ['de', 'de-DE'],
])

export interface TimeWords {
  /** For people: `3 hours ago` within a week, a date beyond it. */
  words(time: Date): string
  /** The day, however near. */
  date(time: Date): string
  /** Date and time to the minute, with `UTC` said. */
  exact(time: Date): string
}

/** Times in words. The reader's time zone is not known, so exact times are in UTC and say so. */
export function createTimeWords(locale: Locale, now: () => Date): TimeWords {
  const format = FORMAT_LOCALES.get(locale) ?? locale
  const relative = new Intl.RelativeTimeFormat(format, { numeric: 'auto' })
  const date = new Intl.DateTimeFormat(format, { dateStyle: 'long', timeZone: 'UTC' })
  const dateTime = new Intl.DateTimeFormat(format, {
    dateStyle: 'long',
    timeStyle: 'short',
    timeZone: 'UTC',
  })

  return {
    words(time) {
      const seconds = Math.round((time.getTime() - now().getTime()) / 1000)
      const distance = Math.abs(seconds)
      if (distance < MINUTE) return relative.format(0, 'second')
      if (distance < HOUR) return relative.format(Math.trunc(seconds / MINUTE), 'minute')
      if (distance < DAY) return relative.format(Math.trunc(seconds / HOUR), 'hour')
      if (distance < WEEK) return relative.format(Math.trunc(seconds / DAY), 'day')
      return date.format(time)
    },
    date: (time) => date.format(time),
    exact: (time) => `${dateTime.format(time)} UTC`,
  }
}
