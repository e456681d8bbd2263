import { z } from 'zod'
import type { Appservices } from '../appservices/appservices.ts'
import type { FindAppserviceUser } from '../appservices/find-user.ts'
import type { Appservice } from '../appservices/registration.ts'
import { parseUserIdentifier } from '../users/localpart.ts'
import { lockUserRow } from '../users/store.ts'
import { presentedToken } from './bearer.ts'
import { checkMembers } from './body.ts'
import type { LoginType } from './login.ts'
import { MatrixError, userLocked } from './matrix-error.ts'

const appserviceSchema = z.object({ identifier: z.object({ type: z.string(), user: z.string() }) })

function forbidden(message: string): MatrixError {
  return new MatrixError(403, 'M_FORBIDDEN', message)
}

function unsupported(message: string): MatrixError {
  return new MatrixError(400, 'M_APPSERVICE_LOGIN_UNSUPPORTED', message)
}

/**
 * `m.login.application_service` (Matrix 1.18, "Appservice Login"; MSC2778): an appservice signs one of its users in
 * with its `as_token`. Encrypted bridges get their device this way, where they don't make it themselves (MSC4190).
 */
export function createAppserviceLogin(deps: {
  appservices: Appservices
  findAppserviceUser: FindAppserviceUser
  serverName: string
}): LoginType {
  const { appservices, findAppserviceUser, serverName } = deps

  function authenticate(token: string | undefined): Appservice {
    if (!appservices.any) throw unsupported('No appservice may sign in here: the operator has named none')
    if (token === undefined) throw forbidden('The request needs the as_token of an appservice')
    const appservice = appservices.byToken(token)
    if (!appservice)
      throw forbidden('The access token is not the as_token of an appservice that is known here')
    if (appservice.managesDevices) {
      throw unsupported('This appservice has io.element.msc4190: it makes devices by PUT /devices/{deviceId}')
    }
    return appservice
  }

  return async function appserviceLogin(ctx, body) {
    const appservice = authenticate(presentedToken(ctx))
    const { identifier } = checkMembers(appserviceSchema, body)
    if (identifier.type !== 'm.id.user') {
      throw new MatrixError(400, 'M_INVALID_PARAM', "Of identifiers, appservices use 'm.id.user' only")
    }
    const localpart = parseUserIdentifier(identifier.user, serverName)
    // Before anyone looks whether the user exists: other people's names are none of its business.
    if (localpart === undefined || !appservices.owns(appservice, localpart)) {
      throw new MatrixError(403, 'M_EXCLUSIVE', "This user is not in the appservice's namespace")
    }
    const ip = ctx.state.ip as string
    const user = await findAppserviceUser(localpart, appservice, ip)
    if (user === undefined) throw forbidden('There is no such user: register it at the homeserver first')
    if (user === 'deactivated') {
      throw new MatrixError(403, 'M_USER_DEACTIVATED', 'This account has been deactivated')
    }
    if (user.lockedAt) throw userLocked()
    return {
      user,
      appservice: appservice.id,
      by: { actor: 'client', ip },
      event: {
        event: 'sign_in.succeeded',
        actor: 'client',
        userId: user.id,
        ip,
        details: { method: 'appservice', appservice: appservice.id },
      },
      consume: async (trx) => {
        // The device was made at the homeserver in between.
        const present = await lockUserRow(trx, user.id, 'share')
        if (present?.lockedAt) throw userLocked()
      },
    }
  }
}
