import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { synapsePython } from '../synapse-python.ts'
import type { OldDatabase } from './old-database.ts'
import { SERVER_NAME } from './old-synapse.ts'
import { type OldSession, userIdOf } from './people.ts'

/** Makes an access token as Synapse made them until version 1.33: a macaroon, kept in `access_tokens`. */
export async function makeMacaroon(userId: string): Promise<string> {
  const script = `
import sys
from synapse.util.macaroons import MacaroonGenerator
generator = MacaroonGenerator(None, "${SERVER_NAME}", b"macaroon-secret-of-tests")
macaroon = generator._generate_base_macaroon("access")
macaroon.add_first_party_caveat("user_id = " + sys.argv[1])
macaroon.add_first_party_caveat("nonce = one of the old days")
print(macaroon.serialize())`
  const { stdout } = await promisify(execFile)(await synapsePython(), ['-c', script, userId])
  return stdout.trim()
}

/** What only years of use put into a database; written into it while Synapse is stopped. */
export async function ageDatabase(database: OldDatabase): Promise<Record<string, OldSession>> {
  const alice = userIdOf('alice')
  const macaroon = await makeMacaroon(alice)
  const ute = userIdOf('Ute')
  const capital = 'syt_VXRl_OfTheTimeOfCapitals_1aBcDe'
  const deviceless = 'syt_YWxpY2U_WithoutAnyDeviceAtAl_0aBcDe'
  await database.run(`
    insert into devices (user_id, device_id, display_name, hidden) values ('${alice}', 'ALICEOLD', 'Old', false);
    insert into access_tokens (id, user_id, device_id, token)
      values (9001, '${alice}', 'ALICEOLD', '${macaroon}'), (9002, '${alice}', null, '${deviceless}');

    -- A person who came by single sign-on has no password.
    update users set password_hash = null where name = '${userIdOf('nell')}';
    -- One whom no administrator has approved yet.
    update users set approved = false where name = '${userIdOf('wanda')}';
    -- A device whose token ran out while nobody used it.
    update access_tokens set valid_until_ms = 1000 where device_id = 'ERIKTABLET';
    -- A device that has no token left, but still its keys.
    delete from access_tokens where device_id = 'KEEPERPHONE';

    -- From the time when names could have capitals.
    insert into users (name, password_hash, creation_ts, admin, is_guest, deactivated)
      select '${ute}', password_hash, creation_ts, 0, 0, 0 from users where name = '${alice}';
    insert into profiles (user_id, full_user_id) values ('Ute', '${ute}');
    insert into devices (user_id, device_id, display_name, hidden) values ('${ute}', 'UTEPHONE', 'Phone', false);
    insert into access_tokens (id, user_id, device_id, token) values (9004, '${ute}', 'UTEPHONE', '${capital}');

    -- Rows that nobody owns, users of another server, names that nobody could register.
    insert into access_tokens (id, user_id, device_id, token)
      values (9003, '${userIdOf('ghost')}', 'GHOST', 'syt_ghost_token');
    insert into devices (user_id, device_id, hidden) values ('${userIdOf('ghost')}', 'GHOST', false);
    insert into user_threepids (user_id, medium, address, validated_at, added_at)
      values ('${userIdOf('ghost')}', 'email', 'ghost@mail.example.test', 1, 1);
    insert into users (name, creation_ts, admin, is_guest, deactivated)
      values ('@stray:elsewhere.test', 1500000000, 0, 0, 0), ('${userIdOf('b\u00e4r')}', 1500000000, 0, 0, 0);
    insert into devices (user_id, device_id, hidden) values ('${alice}', '${'D'.repeat(300)}', false);
  `)
  return {
    aliceOld: { userId: alice, deviceId: 'ALICEOLD', accessToken: macaroon },
    ute: { userId: ute, deviceId: 'UTEPHONE', accessToken: capital },
    aliceDeviceless: { userId: alice, accessToken: deviceless },
  }
}
