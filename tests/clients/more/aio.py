"""aiobotocore: a table is made, filled by twenty calls at once, read back and deleted."""

import asyncio

from aiobotocore.session import get_session


async def main() -> None:
    async with get_session().create_client("dynamodb") as client:
        await client.create_table(
            TableName="aio-orders",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        items = [{"id": {"S": f"ü/{number}"}} for number in range(20)]
        await asyncio.gather(*(client.put_item(TableName="aio-orders", Item=item) for item in items))
        found = (await client.scan(TableName="aio-orders"))["Items"]
        assert sorted(item["id"]["S"] for item in found) == sorted(item["id"]["S"] for item in items)
        await client.delete_table(TableName="aio-orders")
        assert "aio-orders" not in (await client.list_tables())["TableNames"]


asyncio.run(main())
