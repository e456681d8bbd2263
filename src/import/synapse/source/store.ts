/** Whether Synapse's schema has a column. */
export type HasColumn = (table: string, column: string) => boolean

/**
 * Refresh tokens that were exchanged while nothing of the successor pair was used yet, in words of both engines;
 * undefined where the schema has no such thing.
 */
export function selectUnusedSuccessors(has: HasColumn): string | undefined {
  if (!has('refresh_tokens', 'next_token_id') || !has('access_tokens', 'refresh_token_id')) return undefined
  const used = has('access_tokens', 'used') ? 'max(case when a.used then 1 else 0 end)' : '0'
  return `
    select cast(r.id as text) as id, r.token as presented, n.token as refresh, min(a.token) as access
      from refresh_tokens r
      join refresh_tokens n on n.id = r.next_token_id
      left join access_tokens a on a.refresh_token_id = n.id
     where n.next_token_id is null
     group by r.id, r.token, n.token
    having ${used} = 0`
}

export interface UnusedSuccessorRow {
  id: string
  presented: string
  refresh: string
  access: string | null
}
