import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DebianMachine } from './machine.ts'

const CONFIG = {
  pebble: {
    listenAddress: '127.0.0.1:14000',
    managementListenAddress: '127.0.0.1:15000',
    certificate: '/etc/pebble/pebble.pem',
    privateKey: '/etc/pebble/pebble.key',
    httpPort: 80,
    tlsPort: 443,
  },
}

const UNIT = `[Service]
# It looks at port 80 of each name, as Let's Encrypt does, but without its breaks.
Environment=PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=0
ExecStart=/usr/bin/pebble -config /etc/pebble/config.json
`

/**
 * Stands in for DNS and Let's Encrypt: the names lead to the machine, and its certbot gets certificates from an ACME
 * server (Pebble) that the machine trusts, as everyone does the real one.
 */
export async function certificatesFor(machine: DebianMachine, names: string[]): Promise<void> {
  const { root, output } = machine
  await output(`echo '127.0.0.1 ${names.join(' ')}' >> /etc/hosts`)
  await mkdir(join(root, 'etc/pebble'), { recursive: true })
  await writeFile(join(root, 'etc/pebble/config.json'), JSON.stringify(CONFIG))
  await writeFile(join(root, 'etc/systemd/system/pebble.service'), UNIT)
  const trusted = '/usr/local/share/ca-certificates'
  await output(`openssl req -quiet -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \\
      -addext subjectAltName=DNS:localhost -keyout /etc/pebble/pebble.key -out /etc/pebble/pebble.pem
    cp /etc/pebble/pebble.pem ${trusted}/pebble.crt && update-ca-certificates
    systemctl start pebble`)
  const root0 = 'openssl s_client -connect localhost:15000 -quiet -no_ign_eof'
  await output(`for try in $(seq 50); do
      printf 'GET /roots/0 HTTP/1.0\\r\\n\\r\\n' | ${root0} 2>/dev/null | sed -n '/BEGIN/,/END/p' > ${trusted}/pebble-root.crt || true
      [ ! -s ${trusted}/pebble-root.crt ] || break
      sleep 0.1
    done
    update-ca-certificates`)
  // certbot reads this beside /etc/letsencrypt/cli.ini, which its package brings.
  await mkdir(join(root, 'root/.config/letsencrypt'), { recursive: true })
  await writeFile(join(root, 'root/.config/letsencrypt/cli.ini'), 'server = https://localhost:14000/dir\n')
}
