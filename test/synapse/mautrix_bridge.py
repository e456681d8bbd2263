"""A bridge with mautrix's own encryption, on a leash: a JSON command a line on standard input, its answer on standard output."""

import asyncio
import json
import os
import sys
from types import SimpleNamespace

from mautrix.appservice import AppService
from mautrix.bridge.e2ee import EncryptionManager
from mautrix.client import Client
from mautrix.errors import MatrixRequestError
from mautrix.types import EventType, LoginType, RoomCreatePreset, TextMessageEventContent, MessageType

settings = json.loads(sys.argv[1])
ENCRYPTION = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
LEVELS = {"send": "unverified", "receive": "unverified", "share": "unverified"}


class EveryRoomEncrypted:
    """What the machine asks of rooms."""

    async def is_encrypted(self, room_id):
        return True

    async def get_encryption_info(self, room_id):
        return None

    async def find_shared_rooms(self, user_id):
        return []


class Bridge:
    """As little of a bridge as mautrix's EncryptionManager needs, which is what its bridges sign in and encrypt with."""

    def __init__(self):
        self.az = AppService(
            server=settings["homeserver"], domain=settings["server_name"], id=settings["id"], bot_localpart=f"{settings['id']}_bot",
            as_token=settings["as_token"], hs_token=settings["hs_token"],
        )
        config = {
            "bridge.encryption.verification_levels": LEVELS,
            "bridge.encryption.allow_key_sharing": False,
            "bridge.encryption.appservice": False,
            "bridge.encryption.msc4190": settings["msc4190"],
            "bridge.encryption.self_sign": False,
            "bridge.encryption.delete_keys": {},
            "bridge.encryption.rotation.disable_device_change_key_rotation": False,
        }
        options = SimpleNamespace(
            loop=self.az.loop, az=self.az, name="A bridge", config=config, get_portal=None, state_store=self.az.state_store
        )
        ghosts = f"@{settings['id']}_"
        self.e2ee = EncryptionManager(options, settings["homeserver"], ghosts, "", f"sqlite:{os.getcwd()}/crypto.db")
        self.e2ee.crypto.state_store = EveryRoomEncrypted()
        self.e2ee._resync_encryption_info = lambda: asyncio.sleep(0)
        self.heard = asyncio.Queue()
        self.az.matrix_event_handler(self.hear)

    async def hear(self, event):
        if event.type == EventType.ROOM_ENCRYPTED and event.sender != self.az.bot_mxid:
            decrypted = await self.e2ee.decrypt(event, wait_session_timeout=20)
            await self.heard.put({"sender": decrypted.sender, "body": decrypted.content.body})

    async def start(self):
        """As a bridge starts: its bot is registered and signed in, and publishes its keys."""
        await self.az.start("127.0.0.1", settings["port"])
        await self.az.intent.ensure_registered()
        await self.e2ee.start()
        client = self.e2ee.client
        return {"user_id": client.mxid, "device_id": client.device_id, "own_token": client.api.token != self.az.as_token,
                "access_token": client.api.token}

    async def room(self, invite):
        room_id = await self.az.intent.create_room(
            invitees=[invite], preset=RoomCreatePreset.PRIVATE, initial_state=[ENCRYPTION]
        )
        return {"room_id": room_id}

    async def say(self, room_id, body):
        await self.az.intent.get_room_members(room_id)
        content = TextMessageEventContent(msgtype=MessageType.TEXT, body=body)
        encrypted = await self.e2ee.encrypt(room_id, EventType.ROOM_MESSAGE, content)
        return {"event_id": await self.az.intent.send_message_event(room_id, *encrypted)}

    async def listen(self):
        return await asyncio.wait_for(self.heard.get(), 30)

    async def ghost(self, user_id, **login):
        """Registers a ghost at the homeserver and signs it in."""
        await self.az.intent.user(user_id).ensure_registered()
        return await self.login(user_id, **login)

    async def login(self, user_id, **login):
        client = Client(base_url=settings["homeserver"], mxid=user_id)
        client.api.token = self.az.as_token
        try:
            answer = await client.login(user_id, login_type=LoginType.APPSERVICE, store_access_token=False, **login)
        except MatrixRequestError as error:
            return {"errcode": getattr(error, "errcode", None), "status": error.http_status}
        finally:
            await client.api.session.close()
        return answer.serialize()

    async def logout(self):
        await self.e2ee.client.logout(clear_access_token=False)
        return {}

    async def stop(self):
        await self.e2ee.stop()
        await self.az.stop()


async def main():
    bridge = Bridge()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            command, arguments = json.loads(line)
            print(json.dumps(await getattr(bridge, command)(**arguments)), flush=True)
    finally:
        await bridge.stop()


asyncio.run(main())
