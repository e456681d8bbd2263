"""A matrix-nio client on a leash: a JSON command a line on standard input, what came of it on standard output."""

import asyncio
import json
import sys

from nio import AsyncClient, AsyncClientConfig


def attributes(response):
    """What of an answer, good or bad, a test looks at."""
    names = ("user_id", "device_id", "access_token", "next_batch", "room_id", "event_id", "flows", "session")
    seen = {name: getattr(response, name) for name in names if getattr(response, name, None) is not None}
    http = response.transport_response
    error = {"errcode": response.status_code, "soft_logout": response.soft_logout} if hasattr(response, "soft_logout") else {}
    return {"type": type(response).__name__, "status": http.status, **seen, **error}


async def sign_in(client, password, **more):
    """login() has no refresh_token; login_raw() sends what it is given, and its answer keeps what nio does not read."""
    response = await client.login_raw({
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": client.user},
        "password": password,
        "initial_device_display_name": "nio",
        **more,
    })
    body = await response.transport_response.json()
    return {**attributes(response), "refresh_token": body.get("refresh_token"), "expires_in_ms": body.get("expires_in_ms")}


async def refresh(client, token):
    """nio has no method for it: its own HTTP client, then the new token for everything that follows."""
    body = json.dumps({"refresh_token": token})
    http = await client.send("POST", "/_matrix/client/v3/refresh", body, {"Content-Type": "application/json"})
    body = await http.json()
    client.access_token = body.get("access_token", client.access_token)
    return {"status": http.status, **body}


async def talk(client):
    """Makes a room and says something in it; the event must come back by sync."""
    room = await client.room_create(name="Side door")
    sent = await client.room_send(room.room_id, "m.room.message", {"msgtype": "m.text", "body": "knock knock"})
    synced = await client.sync(timeout=0, full_state=True)
    events = [event.event_id for event in synced.rooms.join[room.room_id].timeline.events]
    return {**attributes(synced), "came_back": sent.event_id in events}


async def run(client, command, arguments):
    if command == "sign_in":
        return await sign_in(client, **arguments)
    if command == "refresh":
        return await refresh(client, **arguments)
    if command == "talk":
        return await talk(client)
    return attributes(await getattr(client, command)(**arguments))


async def main():
    homeserver, user = sys.argv[1:3]
    # One try each: the test looks at what the server answers.
    client = AsyncClient(homeserver, user, config=AsyncClientConfig(max_limit_exceeded=0, max_timeouts=0))
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while line := await reader.readline():
            command, arguments = json.loads(line)
            print(json.dumps(await run(client, command, arguments)), flush=True)
    finally:
        await client.close()


asyncio.run(main())
