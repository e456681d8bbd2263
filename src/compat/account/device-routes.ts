import type Router from '@koa/router'
import type { Context } from 'koa'
import { z } from 'zod'
import { checkMembers, readJson } from '../body.ts'
import { MatrixError } from '../matrix-error.ts'
import { clientPaths } from '../paths.ts'
import type { AccountApiDeps } from './routes.ts'

/** Each is one call to the homeserver within the request. */
const MAX_DEVICES = 500
/** As many characters as a device ID has at the most (Synapse's column has no limit, its introspection this one). */
const MAX_ID_LENGTH = 255

const devicesSchema = z.object({ devices: z.array(z.string().min(1).max(MAX_ID_LENGTH)).max(MAX_DEVICES) })

/** `POST /delete_devices` and `DELETE /devices/{deviceId}` (Matrix 1.18, "Device management"). */
export function addDeviceRoutes(router: Router, deps: AccountApiDeps): void {
  const { sessions, callerOf, interactively } = deps

  /** Ends the sessions on the devices; devices without one, such as those that were imported, are deleted all the same. */
  async function deleteDevices(
    ctx: Context,
    { name, devices, body }: { name: string; devices: readonly string[]; body: Record<string, unknown> },
  ): Promise<void> {
    const caller = await callerOf(ctx)
    // Sorted, so that two such requests take the rows in one order, and the order given makes no other request of it.
    const deviceIds = [...new Set(devices)].sort()
    const operation = { name, parameters: deviceIds }
    const by = { actor: 'user', actorUserId: caller.user.id, ip: ctx.state.ip as string } as const
    const ended = await interactively(ctx, caller, operation, body, async (trx) => {
      const all = []
      for (const id of deviceIds) all.push(await sessions.endDeviceWithin(trx, caller.user.id, id, by))
      return all
    })
    if (!ended) return
    await sessions.settle(ended)
    ctx.body = {}
  }

  router.post(clientPaths('delete_devices'), async (ctx) => {
    const body = await readJson(ctx)
    const { devices } = checkMembers(devicesSchema, body)
    await deleteDevices(ctx, { name: 'delete_devices', devices, body })
  })

  router.delete(clientPaths('devices/:deviceId'), async (ctx) => {
    const { deviceId = '' } = ctx.params as { deviceId?: string }
    if (deviceId.length > MAX_ID_LENGTH) {
      throw new MatrixError(404, 'M_NOT_FOUND', 'No device has so long an ID')
    }
    // Apps send the first request, the one without a password, with no body at all.
    const body = await readJson(ctx, { mayBeEmpty: true })
    await deleteDevices(ctx, { name: 'devices', devices: [deviceId], body })
  })
}
