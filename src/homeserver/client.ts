import { z } from 'zod'
import { HomeserverError } from './errors.ts'
import { type Exchange, exchange } from './exchange.ts'
import { createTransport } from './transport.ts'

/** What the homeserver knows about a user. */
export interface HomeserverUser {
  userId: string
  displayName: string | null
  avatarUrl: string | null
  isSuspended: boolean
  isDeactivated: boolean
}

export type LocalpartAvailability =
  | { available: true }
  | { available: false; reason: 'in_use' | 'invalid' | 'exclusive' }

/** The homeserver's side of the house: Synapse's `/_synapse/mas/*`. Every call throws HomeserverError. */
export interface Homeserver {
  /** False where no homeserver is configured: every call succeeds and does nothing. */
  readonly configured: boolean
  /** The user, or nothing where the homeserver has none of that name. */
  queryUser(localpart: string): Promise<HomeserverUser | undefined>
  /** Whether a new user may have this localpart: the homeserver's own rules, names in use, appservice namespaces. */
  isLocalpartAvailable(localpart: string): Promise<LocalpartAvailability>
  /** Makes the user or updates the one that exists. A display name makes sense for new users only. */
  provisionUser(user: {
    localpart: string
    displayName?: string
    locked?: boolean
  }): Promise<'created' | 'updated'>
  /** Makes the device, or keeps the one that exists (and its name, unless one is given). */
  upsertDevice(device: { localpart: string; deviceId: string; displayName?: string }): Promise<void>
  updateDeviceDisplayName(device: { localpart: string; deviceId: string; displayName: string }): Promise<void>
  /** Deletes the device, where it exists. */
  deleteDevice(localpart: string, deviceId: string): Promise<void>
  /** Makes this the whole list: deletes every other device and makes those that are missing. */
  syncDevices(localpart: string, deviceIds: readonly string[]): Promise<void>
  setDisplayName(localpart: string, displayName: string): Promise<void>
  unsetDisplayName(localpart: string): Promise<void>
  /** Deactivates the user: devices go, rooms are left. `erase` also removes the profile. */
  deleteUser(localpart: string, options: { erase: boolean }): Promise<void>
  reactivateUser(localpart: string): Promise<void>
  /** Lets the user replace their cross-signing keys once within the next 10 minutes. */
  allowCrossSigningReset(localpart: string): Promise<void>
}

const userSchema = z.object({
  user_id: z.string(),
  display_name: z.string().nullish(),
  avatar_url: z.string().nullish(),
  is_suspended: z.boolean(),
  is_deactivated: z.boolean(),
})

const unavailableReasons: Record<string, 'in_use' | 'invalid' | 'exclusive'> = {
  M_USER_IN_USE: 'in_use',
  M_INVALID_USERNAME: 'invalid',
  M_EXCLUSIVE: 'exclusive',
}

/**
 * A client of the homeserver at `endpoint`, which knows this service by `secret`. A call that takes longer than
 * `timeoutSeconds` fails as unavailable.
 *
 * Keys without a value are left out rather than sent as null: for Synapse a key's presence alone means something.
 */
export function createHomeserver(options: {
  endpoint: string
  secret: string
  timeoutSeconds: number
  /** How it is asked; over HTTP where nothing is said. */
  exchange?: Exchange
}): Homeserver {
  const transport = createTransport({ exchange, ...options })

  async function post(name: string, body: object, expected: readonly number[] = [200]): Promise<number> {
    return (await transport.send('POST', name, { body, expected })).status
  }

  return {
    configured: true,

    async queryUser(localpart) {
      if (!isAscii(localpart)) return undefined
      try {
        const { body } = await transport.send('GET', 'query_user', { query: { localpart }, expected: [200] })
        const parsed = userSchema.safeParse(body)
        if (!parsed.success) throw nonsense('query_user', parsed.error)
        return {
          userId: parsed.data.user_id,
          displayName: parsed.data.display_name ?? null,
          avatarUrl: parsed.data.avatar_url ?? null,
          isSuspended: parsed.data.is_suspended,
          isDeactivated: parsed.data.is_deactivated,
        }
      } catch (error) {
        if (error instanceof HomeserverError && error.errcode === 'M_NOT_FOUND') return undefined
        throw error
      }
    },

    async isLocalpartAvailable(localpart) {
      if (!isAscii(localpart)) return { available: false, reason: 'invalid' }
      try {
        await transport.send('GET', 'is_localpart_available', { query: { localpart }, expected: [200] })
        return { available: true }
      } catch (error) {
        const reason = error instanceof HomeserverError && unavailableReasons[error.errcode ?? '']
        if (reason) return { available: false, reason }
        throw error
      }
    },

    async provisionUser({ localpart, displayName, locked }) {
      const body = { localpart, set_displayname: displayName, locked }
      return (await post('provision_user', body, [200, 201])) === 201 ? 'created' : 'updated'
    },

    async upsertDevice({ localpart, deviceId, displayName }) {
      assertDeviceId(deviceId)
      const body = {
        localpart,
        device_id: deviceId,
        display_name: displayName === undefined ? undefined : shortened(displayName),
      }
      await post('upsert_device', body, [200, 201])
    },

    async updateDeviceDisplayName({ localpart, deviceId, displayName }) {
      const body = { localpart, device_id: deviceId, display_name: shortened(displayName) }
      await post('update_device_display_name', body)
    },

    async deleteDevice(localpart, deviceId) {
      await post('delete_device', { localpart, device_id: deviceId }, [200, 204])
    },

    async syncDevices(localpart, deviceIds) {
      for (const deviceId of deviceIds) assertDeviceId(deviceId)
      await post('sync_devices', { localpart, devices: deviceIds })
    },

    async setDisplayName(localpart, displayName) {
      await post('set_displayname', { localpart, displayname: displayName })
    },

    async unsetDisplayName(localpart) {
      await post('unset_displayname', { localpart })
    },

    async deleteUser(localpart, { erase }) {
      await post('delete_user', { localpart, erase })
    },

    async reactivateUser(localpart) {
      await post('reactivate_user', { localpart })
    },

    async allowCrossSigningReset(localpart) {
      await post('allow_cross_signing_reset', { localpart })
    },
  }
}

/** Synapse refuses names of devices above 100 characters; a long name must not stop a sign-in. */
function shortened(displayName: string): string {
  return [...displayName].slice(0, 100).join('')
}

/** Synapse takes any device ID here, and fails later, at introspection, on one that is empty or too long. */
function assertDeviceId(deviceId: string): void {
  const length = [...deviceId].length
  if (length >= 1 && length <= 255) return
  throw new HomeserverError('homeserver_refused', `A device ID has 1 to 255 characters, this one ${length}`, {
    errcode: 'M_INVALID_PARAM',
  })
}

function isAscii(value: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the whole of ASCII is meant
  return /^[\x00-\x7f]*$/.test(value)
}

function nonsense(name: string, cause: unknown): HomeserverError {
  return new HomeserverError('homeserver_unavailable', `The homeserver's answer to ${name} makes no sense`, {
    cause,
  })
}
