import type { Mutation } from './mutations.ts'

const ENGINE = (title: string) => ({ file: 'test/http/policy-engine.test.ts', title })
const SIGN_IN = (title: string) => ({ file: 'test/http/policy-sign-in.test.ts', title })
const GRANT = (title: string) => ({ file: 'test/http/policy-grant.test.ts', title })
const LIMIT = (title: string) => ({ file: 'test/http/policy-session-limit.test.ts', title })

/** The operator's rules: what must refuse, ask, or stay in force. */
export const policyMutations: Mutation[] = [
  {
    breaks: 'lets conditions call whatever the library has',
    file: 'src/policy/forbidden.ts',
    find: 'if (!allowed.has(name)) return',
    replace: 'if (name === "") return',
    test: ENGINE('functions that switch the checks off'),
  },
  {
    breaks: 'takes a rule that fails for one that does not match',
    file: 'src/policy/evaluate.ts',
    find: "    if ('failure' in matched) {",
    replace: "    if ('failure' in matched && rule.limit) {",
    test: ENGINE('a rule that fails to evaluate denies'),
  },
  {
    breaks: 'lets a weaker outcome win',
    file: 'src/policy/kinds.ts',
    find: "['deny', 'require_mfa', 'reauthenticate'] as const",
    replace: "['reauthenticate', 'require_mfa', 'deny'] as const",
    test: ENGINE('the strongest outcome wins'),
  },
  {
    breaks: 'walks through lists of any length',
    file: 'src/policy/evaluate.ts',
    find: 'const MAX_ITEMS = 64',
    replace: 'const MAX_ITEMS = 64_000',
    test: ENGINE('an input that is too large'),
  },
  {
    breaks: 'goes on without rules where they cannot be read',
    file: 'src/policy/policy.ts',
    find: 'const rules = await loadRules(fresh)',
    replace: 'const rules = await loadRules(fresh).catch(() => [])',
    test: SIGN_IN('all of the old ones stay in force'),
  },
  {
    breaks: 'does not ask the rules about passwords',
    file: 'src/signin/password-check.ts',
    find: 'if (!user.deactivatedAt && !user.lockedAt) gate',
    replace: 'if (user.deactivatedAt && user.lockedAt) gate',
    test: SIGN_IN('a right password is refused on the page'),
  },
  {
    breaks: 'tells somebody without the password what the rules say of a user',
    file: 'src/signin/password-check.ts',
    find: '    if (!check.ok || found?.hash === undefined) return',
    replace: `    if (found && localpart === 'bob') gate.passwordLogin('page', found.user, attempt)
    if (!check.ok || found?.hash === undefined) return`,
    test: SIGN_IN('a wrong password is told what it always is'),
  },
  {
    breaks: 'lets people in where a second factor is needed',
    file: 'src/policy/refusal.ts',
    find: "if (outcome === 'deny' || outcome === 'require_mfa')",
    replace: "if (outcome === 'deny')",
    test: SIGN_IN('require_mfa denies'),
  },
  {
    breaks: 'does not ask the rules when an older app signs in',
    file: 'src/compat/login.ts',
    find: '    if (shown) {',
    replace: '    if (shown && !user) {',
    test: SIGN_IN('an older app is refused by its device'),
  },
  {
    breaks: 'asks for no password again, however old it is',
    file: 'src/policy/refusal.ts',
    find: 'authAge > FRESH_SECONDS',
    replace: 'authAge > FRESH_SECONDS * 1000',
    test: GRANT('a person who signed in a while ago is asked'),
  },
  {
    breaks: 'gives a code past the rules to an app without consent',
    file: 'src/oauth/provider/provider.ts',
    find: 'for (const check of policyChecks(db, gate, sessionLimit)) login?.checks.add(check)',
    replace: 'void policyChecks(db, gate, sessionLimit)',
    test: GRANT('an app that needs no consent is held too'),
  },
  {
    breaks: 'lets a device in by a button that was shown before the rule asked for a password',
    file: 'src/signin/link-routes.ts',
    find: "if (status === 'approved' && !(await passesRules(ctx, waiting, current))) return",
    replace: '',
    test: GRANT('reauthenticate asks for the password before the page, and at the button'),
  },
  {
    breaks: 'gives a client a token where only a person could have shown who they are',
    file: 'src/policy/gate.ts',
    find: "if (!by && decision.outcome !== 'allow')",
    replace: "if (!by && decision.outcome === 'deny')",
    test: GRANT('nobody is there who could give a password'),
  },
  {
    breaks: 'counts sessions only before it makes one',
    file: 'src/sessions/session-limit.ts',
    find: 'if (tooMany <= 0) return []',
    replace: 'if (tooMany <= 100) return []',
    test: LIMIT('of twenty at once no more'),
  },
  {
    breaks: "pushes out an appservice's session",
    file: 'src/sessions/store.ts',
    find: "    .whereNull('appservice')\n",
    replace: '',
    test: LIMIT('of appservices are neither held'),
  },
]
