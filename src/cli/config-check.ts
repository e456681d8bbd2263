import type { Command } from 'commander'
import { loadBranding } from '../branding/load.ts'
import { loadRules } from '../policy/load.ts'
import type { Context } from './context.ts'

export function addConfigCheck(parent: Command, { terminal, config }: Context): void {
  parent
    .command('check')
    .description('check the configuration, and list everything that is wrong with it')
    .action(async () => {
      const { http, matrix, database, data_folder, policies, branding } = await config()
      const rules = await loadRules(policies)
      const pages = await loadBranding(branding, matrix.server_name)
      terminal.print('The configuration is right.')
      terminal.print(`public address: ${http.public_url}`)
      terminal.print(`server name: ${matrix.server_name}`)
      terminal.print(`homeserver: ${matrix.endpoint ?? 'none (set matrix.endpoint and matrix.secret)'}`)
      terminal.print(`database: ${database.uri ? 'your PostgreSQL' : `embedded, in ${data_folder}`}`)
      const count = `${rules.length} ${rules.length === 1 ? 'rule' : 'rules'}`
      const own = pages.templates.size
      const brought = own === 0 ? '' : `, ${own} ${own === 1 ? 'template' : 'templates'} of your own`
      terminal.print(`pages: ${pages.serviceName}, in ${Object.keys(pages.catalogue).join(', ')}${brought}`)
      terminal.print(`policies: ${policies.folder ? `${count}, in ${policies.folder}` : 'none'}`)
    })
}
