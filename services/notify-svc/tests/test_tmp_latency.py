import asyncio, time, statistics


async def test_latency(client, feeder, a_case, headers, receivers, sending, monkeypatch):
    from uuid import uuid4

    p = uuid4()
    r = await receivers()
    mine = headers("partner", organization=p)
    await client.post("/notify/v1/webhooks", json={"url": r.url}, headers=mine)
    g = feeder()
    cases = [a_case(partner=p) for _ in range(150)]
    for c in cases:
        await g.feed(c.granted(), c.requested())
    commit, total = [], []
    for n, c in enumerate(cases):
        t = time.perf_counter()
        await g.feed(c.made(), source="/handoff/referral")
        t1 = time.perf_counter()
        g.group.after()
        while len(r.received) < n + 1:
            await asyncio.sleep(0)
        t2 = time.perf_counter()
        commit.append(t1 - t)
        total.append(t2 - t1)
        await asyncio.sleep(0.01)
    print(
        "apply(feeder incl. extra)",
        statistics.median(commit[20:]) * 1e3,
        "after→received ms",
        statistics.median(total[20:]) * 1e3,
        max(total[20:]) * 1e3,
    )
    # throughput of set apply
    big = [a_case(partner=uuid4()) for _ in range(500)]
    evs = [e for c in big for e in (c.granted(), c.requested(), c.made())]
    t = time.perf_counter()
    await g.feed(*evs)
    dt = time.perf_counter() - t
    print("events/s", len(evs) / dt)


async def test_parts(client, feeder, a_case, headers, receivers, monkeypatch, db, context):
    from uuid import uuid4, UUID
    from datetime import timedelta
    from notify_svc.tables.deliveries import claim_webhooks
    from notify_svc.clients.webhooks import WebhookClient, Webhook

    p = uuid4()
    r = await receivers()
    mine = headers("partner", organization=p)
    h = (await client.post("/notify/v1/webhooks", json={"url": r.url}, headers=mine)).json()
    g = feeder()
    cases = [a_case(partner=p) for _ in range(100)]
    for c in cases:
        await g.feed(c.granted(), c.requested())
    a, b, s, e = [], [], [], []
    cl = WebhookClient(allow_private=True)
    for c in cases:
        await g.feed(c.made(), source="/handoff/referral")
        t = time.perf_counter()
        async with db.sets() as conn:
            t1 = time.perf_counter()
            rows = await claim_webhooks(
                conn, lease=timedelta(seconds=30), busy={}, each=4, most=60, only=[UUID(h["id"])]
            )
            t2 = time.perf_counter()
        t3 = time.perf_counter()
        assert len(rows) == 1
        await cl.send(
            Webhook(r.url, "msg_1", b"{}", "v1", b"x" * 32, "00-" + "0" * 52), int(time.time())
        )
        t4 = time.perf_counter()
        a.append(t1 - t)
        b.append(t2 - t1)
        s.append(t3 - t2)
        e.append(t4 - t3)
    for n, v in zip(("begin", "claim", "commit", "send+answer"), (a, b, s, e)):
        print(n, statistics.median(v[10:]) * 1e3)
    await cl.close()
    async with db.sets() as conn:
        import notify_svc.tables.deliveries as D

        for line in await conn.fetch(
            "EXPLAIN (ANALYZE) " + D._CLAIM_WEBHOOKS,
            timedelta(seconds=30),
            [],
            [],
            4,
            60,
            True,
            [UUID(h["id"])],
        ):
            print(line[0])
