import { isValid, monotonicFactory, ulid, ulidToUUID, uuidToULID } from 'ulid'

/** A new ULID in its 26-character form, made from the given time. */
export function newId(now: Date): string {
  return ulid(now.getTime())
}

/** The form that the database stores: a UUID. Throws on anything but a ULID. */
export function toUuid(id: string): string {
  return ulidToUUID(id).toLowerCase()
}

/** The form that everyone else sees: a ULID of 26 characters. */
export function fromUuid(uuid: string): string {
  return uuidToULID(uuid)
}

/** Whether a string from outside is a ULID. */
export function isId(value: string): boolean {
  return isValid(value)
}

/** Makes UUIDs that sort in the order in which they were made by this process, also within one millisecond. */
export function createOrderedUuids(): () => string {
  const next = monotonicFactory()
  return () => toUuid(next())
}
