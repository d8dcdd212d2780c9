// What applications do with ioredis, against the port of the command line; prints "ioredis: ok" at the end.
'use strict';

const assert = require('assert');
const Redis = require('ioredis');

async function values(redis) {
    assert.strictEqual(await redis.set('k', 'v', 'EX', 100), 'OK');
    assert.strictEqual(await redis.get('k'), 'v');
    assert.strictEqual(await redis.get('none'), null);
    assert.ok(await redis.ttl('k') > 0);
    assert.strictEqual(await redis.incrby('c', 5), 5);
    assert.strictEqual(await redis.hset('h', { f: '1', g: '2' }), 2);
    assert.deepStrictEqual(await redis.hgetall('h'), { f: '1', g: '2' });
    assert.strictEqual(await redis.sadd('s', 'a', 'b'), 2);
    assert.deepStrictEqual((await redis.smembers('s')).sort(), ['a', 'b']);
    const blob = Buffer.alloc(1 << 20, 7);
    await redis.set('blob', blob);
    assert.ok(blob.equals(await redis.getBuffer('blob')));
    await assert.rejects(redis.incr('h'), /WRONGTYPE/);
}

async function pipelines(redis) {
    const replies = await redis.pipeline().set('p', '1').incr('p').get('p').exec();
    assert.deepStrictEqual(replies, [[null, 'OK'], [null, 2], [null, '2']]);
    const many = redis.pipeline();
    for (let i = 0; i < 5000; i++)
        many.set(`many:${i}`, i);
    assert.ok((await many.exec()).every(([error, reply]) => error === null && reply === 'OK'));
}

function scanned(redis) {
    return new Promise((resolve, reject) => {
        const keys = new Set();
        redis.scanStream({ match: 'many:*', count: 100 })
            .on('data', found => found.forEach(key => keys.add(key)))
            .on('end', () => resolve(keys))
            .on('error', reject);
    });
}

async function main() {
    const redis = new Redis({ port: Number(process.argv[2]), connectionName: 'tester', enableAutoPipelining: false });
    await values(redis);
    await pipelines(redis);
    assert.strictEqual((await scanned(redis)).size, 5000);
    assert.strictEqual(await redis.client('GETNAME'), 'tester');
    const automatic = new Redis({ port: Number(process.argv[2]), enableAutoPipelining: true, db: 2 });
    assert.deepStrictEqual(await Promise.all([automatic.set('a', '1'), automatic.get('a')]), ['OK', '1']);
    assert.strictEqual(await redis.exists('a'), 0);
    await automatic.quit();
    await redis.quit();
    console.log('ioredis: ok');
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});
