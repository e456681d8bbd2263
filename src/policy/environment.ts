import { Environment } from '@marcbachmann/cel-js'
import { Network, registerFunctions } from './functions.ts'
import { isField, type PolicyKind, variablesOf } from './kinds.ts'

/** Networks by the names that conditions call them. */
export type Networks = Readonly<Record<string, readonly string[]>>

/** What a condition may be at most: enough for a page of text, too little to keep a processor busy. */
const LIMITS = { maxAstNodes: 400, maxDepth: 40, maxListElements: 64, maxMapEntries: 16, maxCallArguments: 8 }

/**
 * The typed world of one kind's conditions: its variables, the named networks and the functions. What is not in it
 * is an error when the rules are loaded, not when somebody signs in.
 */
export function createEnvironment(kind: PolicyKind, networks: Networks): Environment {
  const environment = new Environment({ limits: LIMITS })
  registerFunctions(environment)
  for (const [name, variable] of Object.entries(variablesOf(kind))) {
    if (isField(variable)) environment.registerVariable(name, variable.type)
    else {
      const schema = Object.fromEntries(Object.entries(variable).map(([key, field]) => [key, field.type]))
      environment.registerVariable({ name, schema })
    }
  }
  const names = Object.fromEntries(Object.keys(networks).map((name) => [name, 'Network']))
  environment.registerVariable({ name: 'networks', schema: names })
  return environment
}

/** The named networks as the variable `networks`. */
export function networksValue(networks: Networks): Record<string, Network> {
  return Object.fromEntries(Object.entries(networks).map(([name, cidrs]) => [name, new Network(cidrs)]))
}
