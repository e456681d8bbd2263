import type { Clock } from '../clock.ts'
import { type Client, type ClientMetadata, clientHost } from '../oauth/clients/clients.ts'
import { isUnstableScope, type Scope } from '../oauth/scopes.ts'
import type { User } from '../users/store.ts'
import type { PolicyInput } from './kinds.ts'
import type { Policy } from './policy.ts'
import { PolicyDeniedError, type Settled, settle } from './refusal.ts'
import type { SessionLimit } from './rule-file.ts'

/** Where a request comes from. */
export interface Origin {
  ip: string
  userAgent?: string | null | undefined
}

/** Where a password was typed. */
export type PasswordDoor = 'page' | 'compat' | 'password_change'

/** A header may be much longer, and no browser's or app's is. */
const MAX_USER_AGENT = 500

const NOBODY = { localpart: '', mxid: '', admin: false, mfa: false }

function requestFacts({ ip, userAgent }: Origin) {
  return { ip, userAgent: (userAgent ?? '').slice(0, MAX_USER_AGENT) }
}

function clientFacts(metadata: ClientMetadata): PolicyInput<'client_registration'>['client'] {
  return {
    name: metadata.client_name ?? '',
    uri: metadata.client_uri ?? '',
    host: clientHost(metadata) ?? '',
    redirectUris: metadata.redirect_uris,
    grantTypes: metadata.grant_types,
    applicationType: metadata.application_type,
    authMethod: metadata.token_endpoint_auth_method,
  }
}

/** The decisions of the service, each made from what its door knows. */
export function createPolicyGate(deps: { policy: Policy; clock: Clock; serverName: string }) {
  const { policy, clock, serverName } = deps

  function userFacts({ localpart, isAdmin }: User) {
    return { localpart, mxid: `@${localpart}:${serverName}`, admin: isAdmin, mfa: false }
  }

  function ageOf(authenticatedAt: Date, at: Date = clock.now()): number {
    return Math.max(0, Math.floor((at.getTime() - authenticatedAt.getTime()) / 1000))
  }

  return {
    /** An app registers itself. @throws PolicyDeniedError; nobody is there to be asked for a password */
    registration(metadata: ClientMetadata, origin: Origin): void {
      const input = { client: clientFacts(metadata), request: requestFacts(origin) }
      const decision = policy.decide('client_registration', input)
      if (decision.outcome !== 'allow') throw new PolicyDeniedError(decision)
    },

    /** A right password was typed; being asked for it again is what just happened. @throws PolicyDeniedError */
    passwordLogin(door: PasswordDoor, user: User, origin: Origin): void {
      const input = { login: { door }, user: userFacts(user), request: requestFacts(origin) }
      settle(policy.decide('password_login', input), 0, user.id)
    },

    /** An older app gets in. @throws PolicyDeniedError */
    compatLogin(
      user: User,
      origin: Origin,
      login: {
        type: 'password' | 'sso' | 'token'
        authenticatedAt: Date
        /** When the person let the app in, where that was before now. */
        approvedAt?: Date
        deviceId?: string | null
        name?: string | null
      },
    ): Settled {
      const authAge = ageOf(login.authenticatedAt, login.approvedAt)
      const decision = policy.decide('compat_login', {
        login: { type: login.type },
        device: { id: login.deviceId ?? '', name: login.name ?? '' },
        user: userFacts(user),
        session: { authAge },
        request: requestFacts(origin),
      })
      return settle(decision, authAge, user.id)
    },

    /** How many sessions a user may have. @throws PolicyDeniedError where a rule cannot be evaluated */
    sessionLimit(user: User, kind: 'oauth' | 'compat'): SessionLimit | undefined {
      const decision = policy.decide('session_limit', { user: userFacts(user), session: { kind } })
      if (decision.outcome !== 'allow') throw new PolicyDeniedError(decision, user.id)
      return decision.limit
    },

    /**
     * An app is given what it asks for; without a user where it is for the app itself (`client_credentials`).
     * @throws PolicyDeniedError
     */
    grant(
      grantType: 'authorization_code' | 'device_code' | 'client_credentials',
      client: Client,
      scope: Scope,
      origin: Origin,
      by?: { user: User; authenticatedAt: Date },
    ): Settled {
      const authAge = by ? ageOf(by.authenticatedAt) : 0
      const decision = policy.decide('authorization_grant', {
        grantType,
        scopes: scope.expanded.split(' ').filter((name) => name !== '' && !isUnstableScope(name)),
        client: { id: client.clientId, kind: client.kind, ...clientFacts(client.metadata) },
        user: by ? userFacts(by.user) : NOBODY,
        session: { authAge },
        request: requestFacts(origin),
      })
      // Nobody is there whom one could ask.
      if (!by && decision.outcome !== 'allow') throw new PolicyDeniedError(decision)
      return settle(decision, authAge, by?.user.id)
    },
  }
}

export type PolicyGate = ReturnType<typeof createPolicyGate>
